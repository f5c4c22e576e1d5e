-- name: select_report
-- Reads the state of a job.
SELECT * FROM job_reports WHERE key = :key;

-- name: select_dropping_keys
-- Lists the jobs that expect about as many items as usual.
SELECT seq, key FROM jobs WHERE json_extract(definition, '$.expect.max_drop') IS NOT NULL;

-- name: select_takings
-- Lists how long the runs took that succeeded, and what they have cost.
SELECT key, demand, (julianday(finished_at) - julianday(started_at)) * 86400 AS secs, cost_usd
FROM attempts JOIN jobs ON seq = job_seq
WHERE run_status = 'SUCCEEDED' AND finished_at IS NOT NULL;
