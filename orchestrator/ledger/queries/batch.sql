-- name: select_batch
-- Reads the batch.
SELECT * FROM batch;

-- name: open_batch
-- Opens the batch again.
UPDATE batch SET state = 'open', ended_at = NULL, exit_code = NULL, stop_reason = NULL,
    stop_kind = NULL, completed_at = NULL;

-- name: close_batch
-- Closes the batch.
UPDATE batch SET state = :state, ended_at = :ended_at, exit_code = :exit_code,
    stop_reason = :stop_reason, stop_kind = :stop_kind, progress = NULL,
    owes_news = :owes_news;

-- name: select_announced
-- Reads what was announced last.
SELECT announced_end, announced_news FROM batch;

-- name: set_announced
-- Records, before it is sent, what is announced.
UPDATE batch SET owes_news = 0, announced_end = :end, announced_news = :news;

-- name: complete_batch
-- Records that all that follows the last run is done.
UPDATE batch SET completed_at = :completed_at WHERE state <> 'open';

-- name: judge_batch
-- Derives the exit code of a batch that has ended from its jobs.
UPDATE batch SET exit_code = CASE
    WHEN EXISTS (SELECT 1 FROM jobs WHERE status <> 'SUCCEEDED')
        OR EXISTS (SELECT 1 FROM expansions WHERE left_out > 0) THEN 1 ELSE 0 END
WHERE state = 'ended';

-- name: set_number
-- Gives the batch its number among the batches of its name.
UPDATE batch SET number = :batch_number;

-- name: set_account
-- Records where the batch runs and for whom.
UPDATE batch SET platform = :platform, account = :account, series = :series;

-- name: update_plan
-- Replaces the plan of the batch, by which what follows its last run has to be done again.
UPDATE batch SET plan = :plan, completed_at = NULL;

-- name: set_keeps_days
-- Records how long the platform keeps what runs have made.
UPDATE batch SET keeps_days = :keeps_days;

-- name: set_limits
-- Records what may be in use at once.
UPDATE batch SET max_runs = :max_runs, max_memory_mbytes = :max_memory_mbytes;

-- name: set_progress
-- Records the figures of the live batch.
UPDATE batch SET progress = :progress;

-- name: select_progress
-- Reads the figures of the live batch.
SELECT progress FROM batch;

-- name: set_waits
-- Records why jobs wait.
UPDATE batch SET waits = :waits;

-- name: select_waits
-- Reads why jobs wait.
SELECT waits FROM batch;

-- name: insert_call
-- Records that a process begins to work on the batch.
INSERT INTO calls (command, caller, began_at, seen_at)
VALUES (:command, :caller, :began_at, :began_at);

-- name: see_call
-- Records that the process that works on the batch is alive.
UPDATE calls SET seen_at = :seen_at WHERE number = (SELECT MAX(number) FROM calls);

-- name: idle_call
-- Records that the process that works on the batch found nothing to do.
UPDATE calls SET seen_at = began_at WHERE number = (SELECT MAX(number) FROM calls);

-- name: select_calls
-- Reads which processes worked on the batch.
SELECT command, caller, began_at, seen_at FROM calls ORDER BY number;

-- name: select_extent
-- Counts what changes with every attempt and with every job that is settled.
SELECT (SELECT COUNT(*) FROM attempts) AS attempts,
    (SELECT COUNT(*) FROM open_attempts) AS open_attempts,
    (SELECT COUNT(*) FROM jobs WHERE status <> 'WAITING') AS settled;

-- name: add_requests
-- Adds to the counts of requests and retries; until the commit, no other process adds to any count.
UPDATE batch SET requests = requests + :requests, retries = retries + :retries;

-- name: set_answers
-- Replaces the counts of answers.
UPDATE batch SET answers = :answers;

-- name: insert_later_resume
-- Records, once, that a call for a later occurrence resumes the batch.
INSERT INTO later_resumes (occurrence, began_at) VALUES (:occurrence, :began_at)
ON CONFLICT DO NOTHING;

-- name: select_later_resumes
-- Reads the later occurrences whose calls have resumed the batch.
SELECT occurrence FROM later_resumes;

-- name: began_at
-- Finds when the first start was intended, by the platform's clock where it was known.
SELECT MIN(COALESCE(platform_at, started_at)) AS began_at FROM attempts
WHERE reused_from IS NULL;
