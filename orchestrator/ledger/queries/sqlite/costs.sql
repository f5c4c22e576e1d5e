-- name: set_old_costs_at
-- Makes the costs final of those runs of some jobs that ended more than a day before all runs were asked for.
UPDATE attempts SET cost_at = :cost_at WHERE run_id IS NOT NULL AND reused_from IS NULL
    AND job_seq >= :first AND job_seq < :end
    AND julianday(:cost_at) > julianday(COALESCE(finished_at, ended_at)) + 1;

-- name: has_provisional_cost
-- Finds whether a run is live, or was not asked for its cost late enough after its end.
SELECT EXISTS (SELECT 1 FROM open_attempts) OR EXISTS (
    SELECT 1 FROM attempts JOIN batch
    WHERE reused_from IS NULL AND run_id IS NOT NULL AND (cost_at IS NULL
        OR COALESCE(finished_at, attempts.ended_at) IS NOT NULL AND julianday(cost_at)
            < julianday(COALESCE(finished_at, attempts.ended_at))
                + (costs_settle_secs - 0.001) / 86400)) AS has_some;
