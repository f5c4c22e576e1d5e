-- name: try_lock_batch
-- Locks a batch for this session, unless another one has it.
SELECT pg_try_advisory_lock(hashtext(:schema), hashtext(:id)) AS is_ours;

-- name: try_share_batch
-- Locks a batch for this session together with others that share it.
SELECT pg_try_advisory_lock_shared(hashtext(:schema), hashtext(:id)) AS is_ours;

-- name: seek_making
-- Reads whether a batch is made that several processes share, and otherwise makes this session the one that makes it, if none does.
SELECT is_made, CASE WHEN NOT is_made THEN pg_try_advisory_lock(hashtext(:schema), hashtext('making ' || :serves)) END AS is_ours
FROM (SELECT EXISTS (SELECT 1 FROM all_batches WHERE serves = :serves) AS is_made) AS looked;

-- name: limit_waits
-- Sets how long this session waits for a lock.
SELECT set_config('lock_timeout', :millis, false);

-- name: end_paused
-- Ends sessions of processes that were paused within a transaction, whose locks the server keeps: it only ends some of them by itself.
-- With an owner, only if the lease of another process has expired and cannot be taken over.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE wait_event = 'ClientRead' AND application_name = 'orchestrator'
    AND datname = current_database() AND usename = current_user
    AND xact_start IS NOT NULL AND state_change < clock_timestamp() - :secs * interval '1 second'
    AND (CAST(:owner AS text) IS NULL OR EXISTS (
        SELECT 1 FROM writers WHERE is_fenced = 0 AND owner <> :owner AND lease_until < clock_timestamp()));

-- name: unlock_all
-- Releases all locks of this session.
SELECT pg_advisory_unlock_all();

-- name: select_holder
-- Finds a session that holds a batch. A holder also locks it in transactions of its other session, which has no name of its own.
SELECT application_name AS holder FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND application_name <> 'orchestrator'
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = CAST(CAST(hashtext(:schema) AS bit(32)) AS bigint)
    AND objid = CAST(CAST(hashtext(:id) AS bit(32)) AS bigint)
ORDER BY backend_start LIMIT 1;

-- name: select_state
-- Reads figures of which some change with each transaction on the batch.
SELECT (SELECT CAST(CAST(xmin AS text) AS bigint) FROM all_batches WHERE batch = chosen_batch()),
    COALESCE(SUM(commits), 0) FROM writers;
