-- name: select_report
-- Reads the state of a job.
SELECT * FROM job_reports WHERE lower(key) = lower(:key);

-- name: select_dropping_keys
-- Lists the jobs that expect about as many items as usual.
SELECT seq, key FROM jobs WHERE CAST(definition AS json) -> 'expect' ->> 'max_drop' IS NOT NULL;

-- name: select_takings
-- Lists how long the runs took that succeeded, and what they have cost.
SELECT key, demand, CAST(EXTRACT(EPOCH FROM CAST(finished_at AS timestamptz)
    - CAST(started_at AS timestamptz)) AS double precision) AS secs, cost_usd
FROM attempts JOIN jobs ON seq = job_seq
WHERE run_status = 'SUCCEEDED' AND finished_at IS NOT NULL;
