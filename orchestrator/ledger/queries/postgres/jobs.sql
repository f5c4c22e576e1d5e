-- name: update_job
-- Replaces the definition of a job that waits and has no open attempt, or that ended without a run.
UPDATE jobs SET definition = :definition, demand = :demand, priority = :priority
WHERE seq = :seq AND lower(key) = lower(:key) AND (status = 'WAITING'
    OR NOT EXISTS (SELECT 1 FROM attempts WHERE job_seq = jobs.seq AND state <> 'failed'))
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq);

-- name: delete_job
-- Deletes a job that has never begun, unless it was made of items: the places of those follow one another.
DELETE FROM jobs
WHERE lower(key) = lower(:key) AND (status = 'WAITING' OR status = 'SKIPPED')
    AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_seq = jobs.seq)
    AND NOT EXISTS (SELECT 1 FROM given_up WHERE job_seq = jobs.seq)
    AND NOT COALESCE(jobs.seq < (SELECT first_seq + expansions.jobs FROM expansions
        WHERE first_seq <= jobs.seq AND expansions.jobs > 0 ORDER BY first_seq DESC LIMIT 1), FALSE);

-- name: skip_job
-- Skips a job that waits and has no open attempt.
UPDATE jobs SET status = 'SKIPPED', error = :error
WHERE lower(key) = lower(:key) AND status = 'WAITING'
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq);

-- name: select_waiting
-- Lists the jobs that wait and have no open attempt, with the longest first pause of their rules.
SELECT seq, hashtext(key) AS home, demand, priority, attempts, ready_at, remedy,
CASE WHEN ready_at > 0 THEN (
    SELECT MAX(CAST(rule ->> 'backoff_secs' AS double precision))
    FROM json_array_elements(CAST(definition AS json) -> 'rules') AS rule)
END AS backoff_secs FROM jobs
WHERE status = 'WAITING' AND taken_by IS NULL AND seq >= :first_seq AND seq < :end_seq
    AND (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq LIMIT 1) IS NULL
ORDER BY seq;

-- name: select_place
-- Counts the waiting jobs that come before a job, and reads when it may start.
SELECT ready_at, remedy, (
    SELECT COUNT(*) FROM jobs AS other WHERE other.status = 'WAITING'
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = other.seq)
    AND (other.priority > jobs.priority
        OR (other.priority = jobs.priority AND other.seq < jobs.seq))) AS ahead
FROM jobs WHERE lower(key) = lower(:key);

-- name: select_needing
-- Lists the waiting jobs that need others, with what they need.
SELECT seq, CAST(definition AS json) ->> 'needs' AS needs FROM jobs
WHERE status = 'WAITING' AND CAST(definition AS json) ->> 'needs' IS NOT NULL;

-- name: select_by_key
-- Finds the place of a job in the spec, and its status.
SELECT seq, status FROM jobs WHERE lower(key) = lower(:key);

-- name: select_rendered_late
-- Lists the jobs that wait, or all of them, whose inputs are rendered when they start.
SELECT definition FROM jobs WHERE (status = 'WAITING' OR :with_settled = 1)
AND CAST(definition AS json) -> 'input' ->> 'late_paths' IS NOT NULL ORDER BY seq;

-- name: select_reusing
-- Lists the jobs that have not begun and may take the results of earlier batches.
SELECT seq FROM jobs WHERE seq >= :first_seq AND seq < :end_seq
AND status = 'WAITING' AND attempts = 0
AND CAST(definition AS json) ->> 'reuse_secs' IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_seq = seq);

-- name: skip_waiting
-- Skips a job that waits, unless it is another process's.
UPDATE jobs SET status = 'SKIPPED', error = :error WHERE seq = :seq AND status = 'WAITING'
    AND (taken_by IS NULL OR taken_by = :owner);

-- name: refuse_waiting
-- Settles a job that waits as failed, unless it is another process's, and returns its key.
UPDATE jobs SET status = 'FAILED', error = :error WHERE seq = :seq AND status = 'WAITING'
    AND (taken_by IS NULL OR taken_by = :owner)
RETURNING key;
