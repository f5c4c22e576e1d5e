-- name: share_lock
-- Keeps other processes from taking the batch over until the commit, unless one has done so.
SELECT pg_try_advisory_xact_lock_shared(hashtext(current_schema()), hashtext(id)) AS is_ours FROM batch;

-- name: join_batch
-- Begins a batch anew that was interrupted, for the first process that joins it; one that is halted stays so.
UPDATE batch SET state = 'open', ended_at = NULL, exit_code = NULL, stop_reason = NULL,
    stop_kind = NULL, completed_at = NULL, finalizer = NULL
WHERE halt_kind IS NULL AND NOT EXISTS (SELECT 1 FROM writers WHERE owner <> :owner AND is_fenced = 0
    AND is_shard = 1 AND lease_until > clock_timestamp());

-- name: keep_stopped
-- Halts a batch that a process which worked alone has stopped.
UPDATE batch SET halt_kind = COALESCE(stop_kind, 'StoppedEarly'), halt_reason = stop_reason
WHERE halt_kind IS NULL AND state = 'stopped';

-- name: select_openness
-- Reads whether work on the batch may be left.
SELECT state = 'open' OR EXISTS (SELECT 1 FROM open_attempts) AS is_open FROM batch;

-- name: forget_findings
-- Begins anew what the processes of an earlier call have found out together.
WITH gone AS (DELETE FROM findings)
UPDATE usage SET settled = 0, failed = 0 WHERE settled <> 0;

-- name: set_shard
-- Enlists a process as one of several.
UPDATE writers SET is_shard = 1 WHERE owner = :owner;

-- name: set_working
-- Records whether a process starts and follows runs.
UPDATE writers SET is_working = :is_working WHERE owner = :owner;

-- name: leave_batch
-- Ends the lease of a process that leaves, so that the others need not wait for that.
UPDATE writers SET is_working = 0, lease_until = '-infinity' WHERE owner = :owner;

-- name: fence_expired
-- Fences off the processes whose leases have expired, and which write nothing at this moment.
UPDATE writers SET is_fenced = 1 WHERE owner IN (
    SELECT owner FROM writers WHERE is_fenced = 0 AND owner <> :owner
    AND lease_until < clock_timestamp() FOR UPDATE SKIP LOCKED);

-- name: free_jobs
-- Gives back the jobs of fenced processes that have no open attempt.
UPDATE jobs SET taken_by = NULL WHERE status = 'WAITING'
    AND taken_by IN (SELECT owner FROM writers WHERE is_fenced = 1)
    AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq);

-- name: steal_attempts
-- Makes a process the owner of the open attempts of fenced ones, which are not another's already.
UPDATE attempts SET owner = :owner, epoch = epoch + 1
WHERE (job_seq, number) IN (
    SELECT job_seq, number FROM open_attempts WHERE owner <> :owner
    AND owner NOT IN (SELECT owner FROM writers WHERE is_fenced = 0)
    FOR UPDATE SKIP LOCKED)
RETURNING job_seq, number;

-- name: select_left_attempts
-- Reads whether processes that were fenced off have left open attempts.
SELECT EXISTS (SELECT 1 FROM open_attempts
    WHERE owner NOT IN (SELECT owner FROM writers WHERE is_fenced = 0)) AS are_left;

-- name: take_stolen
-- Makes a job that of the process which owns its open attempt.
UPDATE jobs SET taken_by = :owner WHERE seq = :seq;

-- name: await_turn
-- Waits until no other process claims jobs of the batch, and keeps them from it until the commit.
SELECT pg_advisory_xact_lock(hashtext(current_schema() || ' claims'), chosen_batch());

-- name: await_claims
-- Waits for the turn, too, and makes the commit visible before it is on disk, so that the turn to claim is over sooner.
SELECT set_config('synchronous_commit', 'off', true),
    pg_advisory_xact_lock(hashtext(current_schema() || ' claims'), chosen_batch());

-- name: flush
-- Commits a message that says nothing, which also brings all earlier commits to the disk.
SELECT pg_logical_emit_message(true, 'orchestrator', '');

-- name: claim_jobs
-- Takes jobs and writes their intents, if all processes together stay within the limits.
SELECT kept_by, detail, job_definition, job_remedy, next_send, next_mark
FROM claim_jobs(:owner, CAST(:wanted AS json), CAST(:shares AS json));

-- name: set_claim
-- Records what an attempt uses of the limits.
UPDATE attempts SET claim_mbytes = :memory_mbytes, claim_pools = :pools
WHERE job_seq = :seq AND number = :number;

-- name: select_snapshot
-- Reads where changes that are not committed yet begin.
SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS since;

-- name: select_changes
-- Lists the jobs that changed, other than by this process or by a claim, with what a waiting job needs.
SELECT seq, key, hashtext(key) AS home, status, taken_by, demand, priority, attempts, ready_at, remedy, error,
    CASE WHEN ready_at > 0 THEN (
        SELECT MAX(CAST(rule ->> 'backoff_secs' AS double precision))
        FROM json_array_elements(CAST(definition AS json) -> 'rules') AS rule)
    END AS backoff_secs
FROM jobs WHERE changed >= CAST(CAST(:since AS text) AS xid8)
    AND taken_by IS DISTINCT FROM :owner ORDER BY seq;

-- name: select_claimed
-- Lists the jobs that other processes have taken since a transaction, and whose attempts are open.
SELECT seq, key FROM open_attempts JOIN jobs ON seq = job_seq
WHERE made >= CAST(CAST(:since AS text) AS xid8) AND owner <> :owner ORDER BY seq;

-- name: select_others
-- Counts the processes that start runs, and finds whether a limit has kept another one from that of late.
SELECT (SELECT COUNT(*) FROM writers WHERE is_shard = 1 AND is_working = 1 AND is_fenced = 0
        AND lease_until > clock_timestamp()) AS processes,
    EXISTS (SELECT 1 FROM usage WHERE owner <> :owner
        AND hungry_at > clock_timestamp() - interval '30 seconds') AS are_hungry;

-- name: select_finding
-- Reads what the processes have found out of a subject, with the time and what all of them use.
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision) AS moment,
    (SELECT CAST(finding AS text) FROM findings WHERE subject = :subject) AS finding,
    CAST(COALESCE(SUM(runs), 0) AS bigint) AS runs,
    CAST(COALESCE(SUM(memory_mbytes), 0) AS bigint) AS memory_mbytes FROM usage;

-- name: put_finding
-- Records what the processes have found out of a subject.
INSERT INTO findings (subject, finding) VALUES (:subject, CAST(:finding AS jsonb))
ON CONFLICT (batch, subject) DO UPDATE SET finding = excluded.finding,
    changed = pg_current_xact_id();

-- name: select_new_findings
-- Lists what the processes have found out since a transaction.
SELECT subject, CAST(finding AS text) AS finding,
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision) AS moment
FROM findings WHERE changed >= CAST(CAST(:since AS text) AS xid8);

-- name: select_due_costs
-- Lists the ended runs whose costs are final by now at the platform, and not in the ledger.
SELECT DISTINCT run_id FROM attempts CROSS JOIN batch
WHERE run_id IS NOT NULL AND reused_from IS NULL AND attempts.state IN ('finished', 'settled')
    AND (cost_at IS NULL OR CAST(cost_at AS timestamptz)
        < CAST(COALESCE(finished_at, attempts.ended_at) AS timestamptz)
            + (costs_settle_secs - 0.001) * interval '1 second')
    AND CAST(COALESCE(finished_at, attempts.ended_at) AS timestamptz)
        + costs_settle_secs * interval '1 second' <= CAST(:now AS timestamptz);

-- name: set_halt
-- Halts the batch for all processes, unless it is halted.
UPDATE batch SET halt_kind = :kind, halt_reason = :reason WHERE halt_kind IS NULL;

-- name: halt_shards
-- Halts the batch for the processes that share it now, unless there is none or the batch is over.
UPDATE batch SET halt_kind = :kind, halt_reason = :reason
WHERE completed_at IS NULL AND EXISTS (SELECT 1 FROM writers
    WHERE is_shard = 1 AND is_fenced = 0 AND lease_until > clock_timestamp());

-- name: select_halt
-- Reads whether the batch is halted, and whether jobs are left.
SELECT halt_kind, halt_reason, state, completed_at IS NOT NULL AND owes_news = 0 AS is_complete,
    EXISTS (SELECT 1 FROM jobs WHERE status = 'WAITING') AS has_work,
    CAST((SELECT COALESCE(SUM(runs), 0) FROM usage) AS bigint) AS runs FROM batch;

-- name: seek_end
-- Makes a process the one that closes the batch and announces that, if no other works on it or is about to do so.
UPDATE batch SET finalizer = :owner
WHERE (completed_at IS NULL OR owes_news = 1) AND NOT EXISTS (SELECT 1 FROM writers WHERE owner <> :owner AND is_fenced = 0
        AND is_shard = 1 AND is_working = 1)
    AND (finalizer IS NULL OR finalizer = :owner
        OR finalizer NOT IN (SELECT owner FROM writers WHERE is_fenced = 0));

-- name: hold_closing
-- Keeps other processes from closing the batch until the commit, if this process closes it.
UPDATE batch SET finalizer = finalizer WHERE finalizer = :owner;

-- name: set_serves
-- Records which series and occurrence the batch serves, unless another batch does.
UPDATE batch SET serves = :serves
WHERE NOT EXISTS (SELECT 1 FROM all_batches WHERE serves = :serves);

-- name: set_spec
-- Keeps the spec of the batch for other machines.
UPDATE batch SET spec_name = :name, spec = :spec;

-- name: select_published
-- Reads the batches of a name, or of all names, without their specs.
SELECT id, name, mark, created_at, plan, state, ended_at, exit_code, stop_reason, stop_kind, requests, retries, answers, keeps_days,
    max_runs, max_memory_mbytes, number, occurrence, platform, account, triggered_by, completed_at, owes_news
FROM all_batches WHERE number > 0 AND (name = :name OR :name = '');

-- name: select_spec
-- Reads the spec of a batch.
SELECT spec_name, spec FROM all_batches WHERE id = :id;

-- name: delete_abandoned
-- Deletes the batches of a name whose makers have died long ago, before they published them and began anything.
WITH abandoned AS MATERIALIZED (
    SELECT batch, id FROM all_batches WHERE name = :name AND number = 0
    AND made_at < clock_timestamp() - :secs * interval '1 second'
    AND NOT EXISTS (SELECT 1 FROM all_attempts WHERE all_attempts.batch = all_batches.batch))
DELETE FROM all_batches USING abandoned WHERE all_batches.batch = abandoned.batch AND number = 0
    AND pg_try_advisory_xact_lock(hashtext(current_schema()), hashtext(abandoned.id));

-- name: select_last_number
-- Finds the highest number among the batches of this name; until the commit no other is given, and the batch stays.
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtext(name), 1), name FROM batch FOR UPDATE)
SELECT MAX(number) AS number FROM all_batches WHERE name = (SELECT name FROM turn);

-- name: select_left_sources
-- Lists those of some jobs that were settled by no process which still works on the batch.
SELECT seq FROM jobs
WHERE seq IN (SELECT CAST(value AS integer) FROM json_array_elements_text(CAST(:seqs AS json)))
    AND NOT EXISTS (SELECT 1 FROM writers WHERE owner = taken_by
        AND is_shard = 1 AND is_working = 1 AND is_fenced = 0)
ORDER BY seq;

-- name: hold_added
-- Keeps jobs that were made of items for the process that has made them.
UPDATE jobs SET taken_by = :owner WHERE seq >= :first_seq AND seq < :end_seq;

-- name: free_added
-- Gives the jobs back that were kept and have no attempt.
UPDATE jobs SET taken_by = NULL
WHERE seq >= :first_seq AND seq < :end_seq AND status = 'WAITING' AND attempts = 0
    AND taken_by = :owner AND NOT EXISTS (SELECT 1 FROM open_attempts WHERE job_seq = jobs.seq);
