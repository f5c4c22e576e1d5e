-- name: select_uncollected
-- Counts the runs whose items are wanted and not on disk, and finds when the first of them ended.
SELECT COUNT(*) AS runs, MIN(COALESCE(finished_at, started_at)) AS since
FROM attempts JOIN jobs ON seq = job_seq
WHERE run_id IS NOT NULL AND reused_from IS NULL AND (
    state IN ('started', 'adopted', 'finished')
    OR (state = 'settled' AND number = jobs.attempts AND sha256 IS NULL
        AND COALESCE(CAST(definition AS json) -> 'collect' ->> 'items', 'true') <> 'false'));

-- name: count_ready
-- Counts the runs that were started more than a minute ago and have not begun.
SELECT COUNT(*) AS runs FROM attempts
WHERE state IN ('started', 'adopted') AND run_status = 'READY'
    AND CAST(started_at AS timestamptz) < now() - interval '1 minute';
