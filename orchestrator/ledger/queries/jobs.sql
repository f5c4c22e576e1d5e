-- name: insert_job
-- Writes a job, which waits from now on.
INSERT INTO jobs (seq, key, definition, demand, priority)
VALUES (:seq, :key, :definition, :demand, :priority);

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

-- name: select_waiting_keys
-- Lists the keys of the jobs that are not settled.
SELECT seq, key FROM jobs WHERE status = 'WAITING';

-- name: select_demands
-- Lists what some of the waiting jobs ask of the limits, each with one job that asks it.
SELECT demand, MIN(key) AS example FROM jobs
WHERE seq >= :first AND seq < :end AND status = 'WAITING' GROUP BY demand;

-- name: select_statuses
-- Lists the statuses of the jobs from one place in the spec to another.
SELECT seq, key, status FROM jobs WHERE seq >= :first_seq AND seq < :end_seq ORDER BY seq;

-- name: select_keys
-- Lists the keys of all jobs.
SELECT key FROM jobs ORDER BY seq;

-- name: select_key
-- Reads the key of a job.
SELECT key FROM jobs WHERE seq = :seq;

-- name: select_last_seq
-- Finds the place of the last job in the spec; -1 when there is none.
SELECT COALESCE(MAX(seq), -1) AS seq FROM jobs;

-- name: select_definitions
-- Lists the definitions of all jobs.
SELECT key, definition, status, error FROM jobs;
