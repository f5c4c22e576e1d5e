-- name: select_report
-- Reads the state of a job.
SELECT * FROM job_reports WHERE key = :key;

-- name: select_dropping_keys
-- Lists the jobs that expect about as many items as usual.
SELECT seq, key FROM jobs WHERE json_extract(definition, '$.expect.max_drop') IS NOT NULL;

-- name: select_takings
-- Lists how long the runs of settled jobs took, if they succeeded, and what all runs of a job have cost; a resurrected run counts once.
SELECT seq, key, demand, MAX(CASE WHEN run_status = 'SUCCEEDED'
    THEN (julianday(finished_at) - julianday(started_at)) * 86400 END) AS secs,
    SUM(CASE WHEN reused_from IS NULL AND NOT EXISTS (
        SELECT 1 FROM attempts WHERE job_seq = one.job_seq AND number > one.number
        AND resurrects = one.run_id AND cost_usd IS NOT NULL)
        THEN CAST(cost_usd AS DOUBLE PRECISION) END) AS cost_usd
FROM attempts AS one JOIN jobs ON seq = job_seq
WHERE run_id IS NOT NULL AND status <> 'WAITING' GROUP BY seq ORDER BY seq;
