-- name: count_jobs
-- Counts the jobs by status, without GROUP BY, which would sort a million of them in memory.
SELECT COUNT(*) FILTER (WHERE status = 'WAITING') AS "WAITING",
    COUNT(*) FILTER (WHERE status = 'SUCCEEDED') AS "SUCCEEDED",
    COUNT(*) FILTER (WHERE status = 'FAILED') AS "FAILED",
    COUNT(*) FILTER (WHERE status = 'TIMED-OUT') AS "TIMED-OUT",
    COUNT(*) FILTER (WHERE status = 'ABORTED') AS "ABORTED",
    COUNT(*) FILTER (WHERE status = 'REJECTED') AS "REJECTED",
    COUNT(*) FILTER (WHERE status = 'SKIPPED') AS "SKIPPED" FROM jobs;

-- name: has_unsettled
-- Finds whether a job is not settled.
SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'WAITING') AS has_some;

-- name: count_open
-- Counts the open attempts.
SELECT COUNT(*) AS attempts FROM open_attempts;

-- name: has_open
-- Finds whether there is an open attempt.
SELECT EXISTS (SELECT 1 FROM open_attempts) AS has_some;

-- name: sum_attempts
-- Counts attempts, runs (a resurrected one once), and jobs that took the results of earlier batches.
SELECT COUNT(*) FILTER (WHERE reused_from IS NULL) AS attempts,
    COUNT(run_id) FILTER (WHERE reused_from IS NULL AND resurrects IS NULL) AS runs,
    COUNT(reused_from) AS reused, COALESCE(SUM(adopted), 0) AS adopted FROM attempts;

-- name: sum_collected
-- Adds up what the jobs have collected.
SELECT COALESCE(SUM(items), 0) AS items, COALESCE(SUM(size_bytes), 0) AS size_bytes
FROM attempts JOIN jobs ON job_seq = seq AND number = jobs.attempts;

-- name: count_unproven
-- Counts some of the jobs whose datasets are not proven complete, by the reason.
SELECT CASE WHEN status = 'WAITING' THEN 'the job is not over'
        WHEN run_id IS NULL OR state <> 'settled' THEN 'there is no run that has ended'
        ELSE COALESCE(unproven, 'collected by an earlier version') END AS reason,
    COUNT(*) AS jobs
FROM jobs LEFT JOIN attempts ON job_seq = seq AND number = jobs.attempts
WHERE seq >= :first AND seq < :end AND (proof IS NULL OR status = 'WAITING') GROUP BY reason;

-- name: select_stragglers
-- Lists the jobs with a run that takes, or took, far longer than similar ones.
SELECT key FROM jobs WHERE seq IN (SELECT job_seq FROM attempts WHERE straggles = 1) ORDER BY seq;
