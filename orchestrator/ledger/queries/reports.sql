-- name: select_report
-- Reads the state of a job.
SELECT * FROM job_reports WHERE key = :key;

-- name: select_reports
-- Lists the states of all jobs.
SELECT * FROM job_reports ORDER BY seq;

-- name: select_datasets
-- Lists the other datasets of settled jobs.
SELECT job_seq, number, definition, datasets FROM attempts
JOIN jobs ON job_seq = seq AND number = jobs.attempts
WHERE datasets IS NOT NULL AND status <> 'WAITING' ORDER BY job_seq;

-- name: select_dropping_keys
-- Lists the jobs that expect about as many items as usual.
SELECT seq, key FROM jobs WHERE json_extract(definition, '$.expect.max_drop') IS NOT NULL;

-- name: select_items_made
-- Lists how many items the jobs have made that succeeded.
SELECT key, items FROM attempts JOIN jobs ON seq = job_seq AND number = jobs.attempts
WHERE status = 'SUCCEEDED' AND items IS NOT NULL;

-- name: select_takings
-- Lists how long the runs took that succeeded, and what they have cost.
SELECT key, demand, (julianday(finished_at) - julianday(started_at)) * 86400 AS secs, cost_usd
FROM attempts JOIN jobs ON seq = job_seq
WHERE run_status = 'SUCCEEDED' AND finished_at IS NOT NULL;
