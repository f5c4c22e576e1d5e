-- name: select_listed
-- Lists what reports show of some jobs, once for each of their attempts.
SELECT seq, key, definition, demand, status, jobs.error, number, state, outcome, run_id, dataset_id,
    run_status, exit_code, started_at, finished_at, memory_mbytes, cost_usd, items, size_bytes,
    sha256, proof, unproven, datasets, build_number, adopted,
    CASE WHEN resurrects IS NULL THEN NULL ELSE COALESCE(platform_at, intent_at) END AS resurrected_at,
    reused_from, straggles, attempts.error, attempts.remedy
FROM jobs LEFT JOIN attempts ON job_seq = seq
WHERE seq BETWEEN :first AND :last ORDER BY seq, number;
