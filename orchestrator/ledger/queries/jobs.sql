-- name: insert_job
-- Writes a job, which waits from now on.
INSERT INTO jobs (seq, key, definition, demand, priority)
VALUES (:seq, :key, :definition, :demand, :priority);

-- name: update_job
-- Replaces the definition of a job that waits and has no open attempt.
UPDATE jobs SET definition = :definition, demand = :demand, priority = :priority
WHERE seq = :seq AND key = :key AND status = 'WAITING'
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq);

-- name: skip_job
-- Skips a job that waits and has no open attempt.
UPDATE jobs SET status = 'SKIPPED', error = :error
WHERE key = :key AND status = 'WAITING'
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq);

-- name: skip_waiting
-- Skips a job that waits.
UPDATE jobs SET status = 'SKIPPED', error = :error WHERE seq = :seq AND status = 'WAITING';

-- name: refuse_waiting
-- Settles a job that waits as failed, and returns its key.
UPDATE jobs SET status = 'FAILED', error = :error WHERE seq = :seq AND status = 'WAITING'
RETURNING key;

-- name: settle_job
-- Ends one more attempt of a job, and settles the job unless its status stays WAITING.
UPDATE jobs SET status = :status, attempts = attempts + 1, ready_at = :ready_at,
    remedy = :remedy, error = :error
WHERE seq = :seq AND status = 'WAITING';

-- name: judge_job
-- Gives a settled job another status.
UPDATE jobs SET status = :status, error = :error WHERE seq = :seq AND status <> 'WAITING';

-- name: set_waiting
-- Lets a job wait for one more attempt.
UPDATE jobs SET status = 'WAITING', ready_at = 0, remedy = NULL, error = NULL WHERE seq = :seq;

-- name: reopen_job
-- Lets a settled job wait, whose last attempt is open again.
UPDATE jobs SET status = 'WAITING', attempts = attempts - 1, ready_at = 0, error = NULL
WHERE seq = :seq AND status <> 'WAITING';

-- name: select_waiting
-- Lists the jobs that wait and have no open attempt, with the longest first pause of their rules.
SELECT seq, demand, priority, attempts, ready_at, remedy, CASE WHEN ready_at > 0 THEN (
    SELECT MAX(json_extract(value, '$.backoff_secs')) FROM json_each(definition, '$.rules'))
END AS backoff_secs FROM jobs
WHERE status = 'WAITING' AND seq >= :first_seq AND seq < :end_seq
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq)
ORDER BY seq;

-- name: select_waiting_keys
-- Lists the keys of the jobs that are not settled.
SELECT seq, key FROM jobs WHERE status = 'WAITING';

-- name: select_place
-- Counts the waiting jobs that come before a job, and reads when it may start.
SELECT ready_at, remedy, (
    SELECT COUNT(*) FROM jobs AS other WHERE other.status = 'WAITING'
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = other.seq)
    AND (other.priority > jobs.priority
        OR (other.priority = jobs.priority AND other.seq < jobs.seq))) AS ahead
FROM jobs WHERE key = :key;

-- name: select_demands
-- Lists what the waiting jobs ask of the limits, each with one job that asks it.
SELECT demand, MIN(key) AS example FROM jobs WHERE status = 'WAITING' GROUP BY demand;

-- name: select_needing
-- Lists the waiting jobs that need others, with what they need.
SELECT seq, json_extract(definition, '$.needs') AS needs FROM jobs
WHERE status = 'WAITING' AND json_extract(definition, '$.needs') IS NOT NULL;

-- name: select_statuses
-- Lists the statuses of the jobs from one place in the spec to another.
SELECT seq, key, status FROM jobs WHERE seq >= :first_seq AND seq < :end_seq ORDER BY seq;

-- name: select_keys
-- Lists the keys of all jobs.
SELECT key FROM jobs ORDER BY seq;

-- name: select_by_key
-- Finds the place of a job in the spec.
SELECT seq FROM jobs WHERE key = :key;

-- name: select_last_seq
-- Finds the place of the last job in the spec; -1 when there is none.
SELECT COALESCE(MAX(seq), -1) AS seq FROM jobs;

-- name: select_next_send
-- Reads a job, what an attempt at it does differently, and a number for its send that none has had.
SELECT definition, remedy, 1 + COALESCE((
    SELECT MAX(send) FROM given_up WHERE job_seq = :seq AND number = :number), 0) AS send
FROM jobs WHERE seq = :seq;

-- name: select_definitions
-- Lists the definitions of all jobs.
SELECT key, definition FROM jobs;

-- name: select_rendered_late
-- Lists the jobs that wait, or all of them, whose inputs are rendered when they start.
SELECT definition FROM jobs WHERE (status = 'WAITING' OR :with_settled)
AND json_extract(definition, '$.input.late_paths') IS NOT NULL ORDER BY seq;

-- name: select_reusing
-- Lists the jobs that have not begun and may take the results of earlier batches.
SELECT seq FROM jobs WHERE status = 'WAITING' AND attempts = 0
AND json_extract(definition, '$.reuse_secs') IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_seq = seq);
