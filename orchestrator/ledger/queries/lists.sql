-- name: select_listed_jobs
-- Lists what pages show of all jobs, without their inputs.
SELECT seq, key, demand, status, error, json_extract(definition, '$.params') AS params,
    json_extract(definition, '$.tags') AS tags, json_extract(definition, '$.collect.log') AS has_log
FROM jobs ORDER BY seq;

-- name: select_listed_job
-- Reads what pages show of one job.
SELECT seq, key, demand, status, error, json_extract(definition, '$.params') AS params,
    json_extract(definition, '$.tags') AS tags, json_extract(definition, '$.collect.log') AS has_log
FROM jobs WHERE key = :key;

-- name: select_listed_attempts
-- Lists what pages show of all attempts.
SELECT job_seq, number, state, outcome, run_id, run_status, exit_code, started_at, finished_at,
    memory_mbytes, cost_usd, items, size_bytes, build_number, adopted, resurrects, reused_from,
    straggles, error
FROM attempts ORDER BY job_seq, number;

-- name: select_attempts_of
-- Reads all attempts of one job.
SELECT * FROM attempts WHERE job_seq = :seq ORDER BY number;
