-- name: give_up
-- Records, once, that a send has no run as far as the platform shows.
INSERT OR IGNORE INTO given_up (job_seq, number, send, since, mark)
VALUES (:seq, :number, :send, :since, :mark);

-- name: select_given_up
-- Lists the sends that were given up.
SELECT job_seq, number, send, since, mark FROM given_up;

-- name: select_sent
-- Lists all sends: those of attempts and those that were given up.
SELECT job_seq, number, send, mark FROM attempts WHERE reused_from IS NULL
UNION ALL SELECT job_seq, number, send, mark FROM given_up;

-- name: put_orphan
-- Records an orphan run, or its new status and cost; it reserves what its job's attempts do.
INSERT INTO orphan_runs (run_id, mark, seen_at, run_status, cost_usd, cost_at, reserved_usd)
VALUES (:run_id, :mark, :seen_at, :run_status, :cost_usd, :seen_at, (
    SELECT reserved_usd FROM attempts WHERE job_seq = :seq AND reserved_usd IS NOT NULL
    ORDER BY number DESC LIMIT 1))
ON CONFLICT (run_id) DO UPDATE SET run_status = excluded.run_status,
    cost_usd = COALESCE(excluded.cost_usd, cost_usd), cost_at = excluded.cost_at;

-- name: select_orphan_reserve
-- Reads what is reserved for an orphan run.
SELECT reserved_usd FROM orphan_runs WHERE run_id = :run_id;

-- name: select_orphans
-- Lists the orphan runs.
SELECT run_id, mark, run_status, cost_usd FROM orphan_runs ORDER BY run_id;
