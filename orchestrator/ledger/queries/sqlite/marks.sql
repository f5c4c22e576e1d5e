-- name: put_orphan
-- Records an orphan run, or its new status and cost; it reserves what its job's attempts do.
INSERT INTO orphan_runs (run_id, mark, seen_at, run_status, cost_usd, cost_at, reserved_usd)
VALUES (:run_id, :mark, :seen_at, :run_status, :cost_usd, :seen_at, (
    SELECT reserved_usd FROM attempts WHERE job_seq = :seq AND reserved_usd IS NOT NULL
    ORDER BY number DESC LIMIT 1))
ON CONFLICT (run_id) DO UPDATE SET run_status = excluded.run_status,
    cost_usd = COALESCE(excluded.cost_usd, cost_usd), cost_at = excluded.cost_at;
