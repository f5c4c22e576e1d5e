-- name: insert_batch
-- Writes the batch, which is open from now on, and chooses it for this session.
WITH one AS (
    INSERT INTO all_batches (id, name, mark, created_at, plan, state, occurrence, platform,
        account, series, triggered_by)
    VALUES (:id, :name, :mark, :created_at, :plan, 'open', :occurrence, :platform,
        :account, :series, :triggered_by)
    RETURNING batch)
SELECT set_config('orchestrator.batch', CAST(batch AS text), false) FROM one;

-- name: choose_batch
-- Chooses a batch for this session.
SELECT set_config('orchestrator.batch', CAST(batch AS text), false) FROM all_batches
WHERE id = :id;

-- name: own_batch
-- Makes a process the owner of the batch, which is not halted any more; all others write no more.
WITH others AS (
    UPDATE writers SET is_fenced = 1 WHERE owner <> :owner AND is_fenced = 0),
freed AS (UPDATE jobs SET taken_by = NULL WHERE taken_by IS NOT NULL AND status = 'WAITING')
UPDATE batch SET owner = :owner, progress = NULL, halt_kind = NULL, halt_reason = NULL, finalizer = NULL;

-- name: insert_writer
-- Enlists a process that writes to the batch.
INSERT INTO writers (owner) VALUES (:owner);

-- name: note_commit
-- Begins a transaction of a process that may still write, and renews its lease.
UPDATE writers SET commits = :commits,
    lease_until = clock_timestamp() + :lease_secs * interval '1 second'
WHERE owner = :owner AND is_fenced = 0;

-- name: select_writer
-- Reads the last transaction of a process; waits for one in progress.
SELECT commits, is_fenced FROM writers WHERE owner = :owner FOR UPDATE;

-- name: end_session
-- Ends an earlier session of this process, whose connection was lost.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = :pid AND CAST(backend_start AS text) = :began;

-- name: select_session
-- Reads what identifies this session.
SELECT pid, CAST(backend_start AS text) AS began FROM pg_stat_activity WHERE pid = pg_backend_pid();

-- name: delete_batch
-- Deletes the batch with all its jobs, and records that for other machines.
WITH gone AS (DELETE FROM batch RETURNING id, number)
INSERT INTO deleted_batches (id) SELECT id FROM gone WHERE number > 0 ON CONFLICT DO NOTHING;

-- name: select_deleted
-- Reads when a batch was deleted.
SELECT to_char(deleted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS deleted_at FROM deleted_batches WHERE id = :id;

-- name: begin_expansion
-- Makes another process that adds jobs to the batch wait until this transaction has ended.
SELECT pg_advisory_xact_lock(chosen_batch(), 2);

-- name: insert_distinct_rows
-- Records rows of a sweep, and lists those of which no equal one was taken before.
INSERT INTO distinct_rows (digest)
SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:digests AS json))
ON CONFLICT DO NOTHING RETURNING digest;

-- name: select_sharing
-- Reads whether several processes share the batch.
SELECT serves IS NOT NULL AS is_shared FROM batch;

-- name: begin
-- Begins a transaction.
BEGIN;
