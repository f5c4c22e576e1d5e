-- name: set_old_costs_at
-- Makes the costs final of those runs of some jobs that ended more than a day before all runs were asked for.
UPDATE attempts SET cost_at = :cost_at WHERE run_id IS NOT NULL AND reused_from IS NULL
    AND job_seq >= :first AND job_seq < :end
    AND CAST(:cost_at AS timestamptz)
        > CAST(COALESCE(finished_at, ended_at) AS timestamptz) + interval '1 day';

-- name: has_provisional_cost
-- Finds whether a run is live, or was not asked for its cost late enough after its end.
SELECT EXISTS (SELECT 1 FROM open_attempts) OR EXISTS (
    SELECT 1 FROM attempts CROSS JOIN batch
    WHERE reused_from IS NULL AND run_id IS NOT NULL AND (cost_at IS NULL
        OR COALESCE(finished_at, attempts.ended_at) IS NOT NULL AND CAST(cost_at AS timestamptz)
            < CAST(COALESCE(finished_at, attempts.ended_at) AS timestamptz)
                + (costs_settle_secs - 0.001) * interval '1 second')) AS has_some;
