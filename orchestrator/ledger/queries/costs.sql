-- name: set_cost
-- Records what the run of an attempt has cost, unless a later question was answered or the run is reused.
UPDATE attempts SET cost_usd = COALESCE(:cost_usd, cost_usd), cost_at = :cost_at
WHERE run_id = :run_id AND job_seq = (
    SELECT job_seq FROM attempts WHERE run_id = :run_id AND resurrects IS NULL)
    AND reused_from IS NULL
    AND (cost_at IS NULL OR cost_at <= :newest);

-- name: set_orphan_cost
-- Records what an orphan run has cost, unless a later question was answered.
UPDATE orphan_runs SET cost_usd = COALESCE(:cost_usd, cost_usd), cost_at = :cost_at
WHERE run_id = :run_id AND (cost_at IS NULL OR cost_at <= :newest);

-- name: set_costs_settle_secs
-- Records how long after the end of a run its cost is final.
UPDATE batch SET costs_settle_secs = :secs;

-- name: select_costs
-- Lists what all runs have cost; a resurrected run counts once, with its last cost.
SELECT cost_usd FROM attempts AS one WHERE cost_usd IS NOT NULL AND number >= COALESCE((
    SELECT MAX(number) FROM attempts WHERE job_seq = one.job_seq AND resurrects = one.run_id
    AND cost_usd IS NOT NULL), 0)
UNION ALL SELECT cost_usd FROM orphan_runs WHERE cost_usd IS NOT NULL;

-- name: select_costs_paid_again
-- Lists what the runs have cost that followed a rejected one.
SELECT cost_usd FROM attempts AS one
WHERE cost_usd IS NOT NULL AND resurrects IS NULL AND number > 1 AND (
    SELECT outcome FROM attempts WHERE job_seq = one.job_seq AND number = one.number - 1)
    = 'REJECTED';

-- name: select_near_cap
-- Lists the runs whose cost is within 5 % of a cap that we chose, a resurrected one once, with its last cap.
SELECT key, cost_usd, reserved_usd FROM attempts AS one JOIN jobs ON seq = job_seq
WHERE caps_itself = 0 AND CAST(cost_usd AS DOUBLE PRECISION)
    >= 0.95 * CAST(reserved_usd AS DOUBLE PRECISION)
    AND NOT EXISTS (SELECT 1 FROM attempts AS later WHERE later.job_seq = one.job_seq
        AND later.number > one.number AND later.resurrects = one.run_id)
ORDER BY job_seq, number;

-- name: select_run_costs
-- Lists what the attempts that are over have cost and reserved.
SELECT run_id, cost_usd, cost_at, reserved_usd, COALESCE(finished_at, ended_at) AS end_at, demand
FROM attempts JOIN jobs ON seq = job_seq
WHERE reused_from IS NULL AND (run_id IS NOT NULL OR reserved_usd IS NOT NULL)
    AND state IN ('settled', 'lost') ORDER BY job_seq, number;

-- name: select_orphan_costs
-- Lists what the orphan runs have cost and reserved.
SELECT run_id, cost_usd, cost_at, reserved_usd, seen_at AS end_at FROM orphan_runs;

-- name: select_all_runs
-- Lists all runs that the batch pays for, a resurrected one once for each of its attempts.
SELECT run_id FROM attempts WHERE run_id IS NOT NULL AND reused_from IS NULL
UNION ALL SELECT run_id FROM orphan_runs;
