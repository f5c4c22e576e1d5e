-- A claim writes as little as it can: it took most of its time to write indexes, and to execute statements for each job.

-- Who takes a job changes no column that has an index, and finds room beside the row: so no index of jobs is written. That the job is
-- taken is seen by its open attempt, and not by `changed`.
ALTER TABLE all_jobs SET (fillfactor = 80);
DROP TRIGGER note_job ON all_jobs;
CREATE TRIGGER note_job BEFORE UPDATE ON all_jobs FOR EACH ROW
WHEN (NEW.taken_by IS NULL OR NEW.taken_by <> OLD.taken_by OR NEW.status <> OLD.status OR NEW.attempts <> OLD.attempts
    OR NEW.ready_at <> OLD.ready_at)
EXECUTE FUNCTION note_job();
ALTER TABLE all_attempts ADD COLUMN made xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE OR REPLACE VIEW attempts AS SELECT * FROM all_attempts WHERE batch = chosen_batch();
CREATE OR REPLACE VIEW open_attempts AS
SELECT * FROM attempts WHERE state <> 'settled' AND state <> 'lost' AND state <> 'failed';

-- The foreign key read and locked each job a second time. What takes a job has just read it.
ALTER TABLE all_attempts DROP CONSTRAINT all_attempts_batch_job_seq_fkey;
CREATE FUNCTION delete_attempts() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM all_attempts WHERE batch = OLD.batch;
    RETURN NULL;
END $$;
CREATE TRIGGER delete_attempts AFTER DELETE ON all_batches FOR EACH ROW EXECUTE FUNCTION delete_attempts();

-- A claim counts its attempts itself, all at once. Others give no number, and are counted one by one.
ALTER TABLE all_attempts ALTER COLUMN counts_usd DROP DEFAULT;
DROP TRIGGER note_attempt ON all_attempts;
CREATE TRIGGER note_attempt BEFORE UPDATE OR DELETE ON all_attempts FOR EACH ROW EXECUTE FUNCTION note_attempt();
CREATE TRIGGER note_new_attempt BEFORE INSERT ON all_attempts FOR EACH ROW WHEN (NEW.counts_usd IS NULL)
EXECUTE FUNCTION note_attempt();

-- As before, but the sums of a process are inserted once, and changed from then on.
CREATE OR REPLACE FUNCTION note_attempt() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    settle double precision;
    ended timestamptz;
    runs_before integer := 0;
    runs_after integer := 0;
    mbytes_before integer := 0;
    mbytes_after integer := 0;
    usd_before numeric := 0;
    earlier numeric := 0;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        usd_before := OLD.counts_usd;
        IF OLD.state IN ('intent', 'unconfirmed', 'started', 'adopted') THEN
            runs_before := 1;
            mbytes_before := OLD.claim_mbytes;
        END IF;
    END IF;
    IF TG_OP = 'DELETE' THEN
        -- Not inserted: at the end of its batch, the sums may be deleted already.
        UPDATE all_usage AS sums SET runs = sums.runs - runs_before,
            memory_mbytes = sums.memory_mbytes - mbytes_before, committed_usd = sums.committed_usd - usd_before
        WHERE batch = OLD.batch AND owner = OLD.owner;
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.send <> OLD.send THEN
        NEW.sent_at := clock_timestamp();
    END IF;
    NEW.counts_usd := COALESCE(CAST(NEW.reserved_usd AS numeric), 0);
    IF NEW.state IN ('intent', 'unconfirmed', 'started', 'adopted') THEN
        runs_after := 1;
        mbytes_after := NEW.claim_mbytes;
    ELSIF NEW.state = 'failed' OR NEW.reused_from IS NOT NULL THEN
        NEW.counts_usd := 0;
    ELSIF NEW.state <> 'lost' AND NEW.cost_usd IS NOT NULL AND TG_OP = 'UPDATE' AND EXISTS (
        SELECT 1 FROM all_attempts WHERE batch = NEW.batch AND job_seq = NEW.job_seq AND number > NEW.number
        AND resurrects = NEW.run_id) THEN
        NEW.counts_usd := OLD.counts_usd;
    ELSIF NEW.state <> 'lost' AND NEW.cost_usd IS NOT NULL THEN
        IF NEW.resurrects IS NOT NULL THEN
            SELECT COALESCE(SUM(counts_usd), 0) INTO earlier FROM all_attempts WHERE batch = NEW.batch
                AND job_seq = NEW.job_seq AND number < NEW.number AND run_id = NEW.run_id;
        END IF;
        SELECT costs_settle_secs INTO settle FROM all_batches WHERE batch = NEW.batch;
        ended := CAST(COALESCE(NEW.finished_at, NEW.ended_at) AS timestamptz);
        IF CAST(NEW.cost_at AS timestamptz) >= ended + (settle - 0.001) * interval '1 second' THEN
            NEW.counts_usd := CAST(NEW.cost_usd AS numeric) - earlier;
        ELSE
            NEW.counts_usd := GREATEST(NEW.counts_usd, CAST(NEW.cost_usd AS numeric) - earlier);
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.owner <> OLD.owner THEN
        UPDATE all_usage AS sums SET runs = sums.runs - runs_before,
            memory_mbytes = sums.memory_mbytes - mbytes_before, committed_usd = sums.committed_usd - usd_before
        WHERE batch = OLD.batch AND owner = OLD.owner;
        runs_before := 0;
        mbytes_before := 0;
        usd_before := 0;
    END IF;
    IF runs_after <> runs_before OR mbytes_after <> mbytes_before OR NEW.counts_usd <> usd_before THEN
        UPDATE all_usage AS sums SET runs = sums.runs + runs_after - runs_before,
            memory_mbytes = sums.memory_mbytes + mbytes_after - mbytes_before,
            committed_usd = sums.committed_usd + NEW.counts_usd - usd_before
        WHERE batch = NEW.batch AND owner = NEW.owner;
        IF NOT FOUND THEN
            INSERT INTO all_usage AS sums (batch, owner, runs, memory_mbytes, committed_usd)
            VALUES (NEW.batch, NEW.owner, runs_after - runs_before, mbytes_after - mbytes_before, NEW.counts_usd - usd_before)
            ON CONFLICT (batch, owner) DO UPDATE SET runs = sums.runs + excluded.runs,
                memory_mbytes = sums.memory_mbytes + excluded.memory_mbytes,
                committed_usd = sums.committed_usd + excluded.committed_usd;
        END IF;
    END IF;
    RETURN NEW;
END $$;

-- The jobs of one call are taken by one statement, which also writes their intents.
DROP FUNCTION claim_jobs;
DROP FUNCTION begin_probe;
DROP FUNCTION reached_pool;

-- The first of some pools whose limit one more start would exceed, and what is in use of it; no row when it fits.
CREATE FUNCTION reached_pool(pools json, runs jsonb, starts jsonb, most_runs jsonb, most_starts jsonb, OUT kept_by text, OUT detail text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT 'pool ' || pool, CASE WHEN COALESCE(CAST(runs ->> pool AS bigint), 0) >= CAST(most_runs ->> pool AS bigint)
        THEN COALESCE(runs ->> pool, '0') || ' runs' ELSE COALESCE(starts ->> pool, '0') || ' starts' END
    FROM json_array_elements_text(pools) AS pool
    WHERE COALESCE(CAST(runs ->> pool AS bigint), 0) >= CAST(most_runs ->> pool AS bigint)
        OR COALESCE(CAST(starts ->> pool AS bigint), 0) >= CAST(most_starts ->> pool AS bigint)
    LIMIT 1
$$;

-- What is in use of each pool with one more in some.
CREATE FUNCTION one_more(pools json, in_use jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT in_use || jsonb_object_agg(pool, COALESCE(CAST(in_use ->> pool AS bigint), 0) + 1)
    FROM json_array_elements_text(pools) AS pool
$$;

-- A finding on a resource while a start beyond what fits shows whether there is more room.
CREATE FUNCTION with_probe(finding jsonb, moment double precision) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT finding || jsonb_build_object('is_probing', true, 'probe_at', moment + CAST(finding ->> 'pause_secs' AS double precision))
$$;

-- Claims jobs: takes each, and writes the intent of its attempt, if all processes together stay within the limits. The caller has
-- the turn to claim until its commit. Gives a row for each of `wanted`, in their order: what keeps it from a start, or the job;
-- neither when the job is another process's. `share` is the place, from 1, of what a job uses among `shares`: many use the same.
CREATE FUNCTION claim_jobs(process text, wanted json, shares json)
RETURNS TABLE (kept_by text, detail text, job_definition text, job_remedy text, next_send integer, next_mark text)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    of_batch integer := chosen_batch();
    moment double precision := EXTRACT(EPOCH FROM clock_timestamp());
    one record;
    used record;
    of_pools record;
    target jsonb;
    all_kept_by text[] := '{}';
    details text[] := '{}';
    admitted bigint[] := '{}';          -- places
    versions tid[] := '{}';             -- of the rows of their jobs, as they were read
    probed text[] := '{}';              -- subjects
    probes integer[] := '{}';           -- the jobs that try them
    is_hungry boolean := false;
BEGIN
    SELECT COALESCE(SUM(runs), 0) AS runs, COALESCE(SUM(memory_mbytes), 0) AS mbytes, COALESCE(SUM(committed_usd), 0) AS usd,
        COALESCE(SUM(settled), 0) AS settled, COALESCE(SUM(failed), 0) AS failed,
        (SELECT halt_kind FROM all_batches WHERE batch = of_batch) AS halt,
        (SELECT jsonb_object_agg(subject, finding) FROM all_findings WHERE batch = of_batch) AS findings
    INTO used FROM all_usage WHERE batch = of_batch;
    FOR one IN
        SELECT asked.seq, place, reserved_usd, its.*, (SELECT job.ctid FROM all_jobs AS job
            WHERE batch = of_batch AND job.seq = asked.seq AND status = 'WAITING'
            AND attempts = number - 1 AND (taken_by IS NULL OR taken_by = process)
            AND NOT EXISTS (SELECT 1 FROM all_attempts AS attempt WHERE attempt.batch = of_batch
                AND attempt.job_seq = asked.seq AND state <> 'settled' AND state <> 'lost' AND state <> 'failed')) AS version
        FROM ROWS FROM (json_to_recordset(wanted) AS (seq integer, number integer, reserved_usd text, share bigint))
            WITH ORDINALITY AS asked (seq, number, reserved_usd, share, place)
        JOIN ROWS FROM (json_to_recordset(shares) AS (target text, mbytes integer, pools json, max_runs integer, max_mbytes bigint,
            max_usd numeric, pool_runs jsonb, pool_starts jsonb, max_failed integer, failed_share double precision, sample integer))
            WITH ORDINALITY AS its (target, mbytes, pools, max_runs, max_mbytes, max_usd, pool_runs, pool_starts, max_failed,
                failed_share, sample, share) USING (share)
        ORDER BY place
    LOOP
        kept_by := NULL;
        detail := NULL;
        target := used.findings -> one.target;
        IF used.halt IS NOT NULL THEN
            kept_by := 'halt';
            detail := used.halt;
        ELSIF used.failed >= one.max_failed
            OR (used.failed > 0 AND used.settled >= one.sample AND used.failed >= one.failed_share * used.settled) THEN
            kept_by := 'failures';
            detail := json_build_array(used.failed, used.settled);
        ELSIF COALESCE(target ->> 'held', '') <> '' OR (COALESCE(target ->> 'reason', '') <> ''
            AND (target ->> 'probe' IS NOT NULL OR moment < CAST(target ->> 'probe_at' AS double precision))) THEN
            kept_by := 'target';
            detail := target || jsonb_build_object('now', moment);
        ELSIF used.runs >= one.max_runs THEN
            kept_by := 'runs';
            detail := used.runs;
        ELSIF used.mbytes + one.mbytes > one.max_mbytes THEN
            kept_by := 'memory';
            detail := used.mbytes;
        ELSIF used.usd + CAST(one.reserved_usd AS numeric) > one.max_usd THEN
            kept_by := 'money';
            detail := used.usd;
        ELSIF used.runs + 1 > CAST(used.findings -> 'runs' ->> 'fits' AS bigint)
            AND moment < CAST(used.findings -> 'runs' ->> 'probe_at' AS double precision) THEN
            kept_by := 'room of runs';
            detail := (used.findings -> 'runs') || jsonb_build_object('now', moment);
        ELSIF used.mbytes + one.mbytes > CAST(used.findings -> 'memory' ->> 'fits' AS bigint)
            AND moment < CAST(used.findings -> 'memory' ->> 'probe_at' AS double precision) THEN
            kept_by := 'room of memory';
            detail := (used.findings -> 'memory') || jsonb_build_object('now', moment);
        ELSIF one.pools IS NOT NULL THEN
            IF of_pools IS NULL THEN
                SELECT COALESCE(runs, '{}') AS runs, COALESCE(starts, '{}') AS starts INTO of_pools FROM use_of_pools(of_batch);
            END IF;
            SELECT reached.kept_by, reached.detail INTO kept_by, detail
            FROM reached_pool(one.pools, of_pools.runs, of_pools.starts, one.pool_runs, one.pool_starts) AS reached;
        END IF;
        IF kept_by IS NULL AND one.version IS NOT NULL THEN
            admitted := admitted || one.place;
            versions := versions || one.version;
            used.runs := used.runs + 1;
            used.mbytes := used.mbytes + one.mbytes;
            used.usd := used.usd + COALESCE(CAST(one.reserved_usd AS numeric), 0);
            IF one.pools IS NOT NULL THEN
                of_pools.runs := one_more(one.pools, of_pools.runs);
                of_pools.starts := one_more(one.pools, of_pools.starts);
            END IF;
            -- A start beyond what fits shows whether there is more room now; a job of a paused target, whether it works again.
            IF used.runs > CAST(used.findings -> 'runs' ->> 'fits' AS bigint) THEN
                used.findings := jsonb_set(used.findings, '{runs}', with_probe(used.findings -> 'runs', moment));
                probed := probed || text 'runs';
                probes := probes || one.seq;
                detail := 'probe';
            END IF;
            IF used.mbytes > CAST(used.findings -> 'memory' ->> 'fits' AS bigint) THEN
                used.findings := jsonb_set(used.findings, '{memory}', with_probe(used.findings -> 'memory', moment));
                probed := probed || text 'memory';
                probes := probes || one.seq;
                detail := 'probe';
            END IF;
            IF COALESCE(target ->> 'reason', '') <> '' THEN
                used.findings := jsonb_set(used.findings, ARRAY[one.target, 'probe'], to_jsonb(one.seq));
                probed := probed || one.target;
                probes := probes || one.seq;
            END IF;
        ELSIF kept_by IN ('runs', 'memory') THEN
            is_hungry := true;
        END IF;
        all_kept_by := all_kept_by || kept_by;
        details := details || detail;
    END LOOP;
    IF admitted <> '{}' THEN
        RETURN QUERY
        WITH fitting AS MATERIALIZED (
            SELECT asked.*, version, mbytes, CAST(pools AS text), 1 + COALESCE((SELECT MAX(gone.send) FROM all_given_up AS gone
                WHERE gone.batch = of_batch AND gone.job_seq = asked.seq AND gone.number = asked.number), 0) AS send
            FROM ROWS FROM (json_to_recordset(wanted) AS (seq integer, number integer, mark text, word text, intent_at text,
                platform_at text, reserved_usd text, caps_itself integer, share bigint)) WITH ORDINALITY AS asked
                (seq, number, mark, word, intent_at, platform_at, reserved_usd, caps_itself, share, place)
            JOIN ROWS FROM (json_to_recordset(shares) AS (mbytes integer, pools json))
                WITH ORDINALITY AS its (mbytes, pools, share) USING (share)
            JOIN unnest(admitted, versions) AS chosen (place, version) USING (place)),
        free AS MATERIALIZED (
            -- Who else has locked a job now settles it, or gives it back: waiting for that could be for each other.
            -- Without an index: a job that was changed since it was read has another version.
            SELECT fitting.place, fitting.version FROM fitting CROSS JOIN LATERAL (
                SELECT 1 FROM all_jobs AS job WHERE job.ctid = fitting.version AND job.batch = of_batch AND job.seq = fitting.seq
                    AND status = 'WAITING' AND attempts = fitting.number - 1 AND (taken_by IS NULL OR taken_by = process)
                LIMIT 1 FOR UPDATE SKIP LOCKED) AS found),
        taken AS (
            UPDATE all_jobs AS job SET taken_by = process FROM free WHERE job.ctid = free.version
            RETURNING free.place, definition, remedy),
        intended AS (
            INSERT INTO all_attempts (batch, job_seq, number, state, owner, intent_at, platform_at, reserved_usd, remedy,
                resurrects, send, mark, caps_itself, claim_mbytes, claim_pools, counts_usd)
            SELECT of_batch, seq, number, 'intent', process, intent_at, platform_at, reserved_usd, remedy,
                CAST(remedy AS json) ->> 'resurrects', send, mark || send || word, caps_itself, mbytes, pools,
                COALESCE(CAST(reserved_usd AS numeric), 0)
            FROM taken JOIN fitting USING (place)
            RETURNING job_seq, send, mark, claim_mbytes, counts_usd),
        counted AS (
            INSERT INTO all_usage AS sums (batch, owner, runs, memory_mbytes, committed_usd)
            SELECT of_batch, process, COUNT(*), SUM(claim_mbytes), SUM(counts_usd) FROM intended HAVING COUNT(*) > 0
            ON CONFLICT (batch, owner) DO UPDATE SET runs = sums.runs + excluded.runs,
                memory_mbytes = sums.memory_mbytes + excluded.memory_mbytes,
                committed_usd = sums.committed_usd + excluded.committed_usd)
        SELECT answer.kept_by, answer.detail, taken.definition, taken.remedy, intended.send, intended.mark
        FROM unnest(all_kept_by, details) WITH ORDINALITY AS answer (kept_by, detail, place)
        LEFT JOIN fitting USING (place) LEFT JOIN taken USING (place) LEFT JOIN intended ON job_seq = fitting.seq
        ORDER BY place;
    ELSE
        RETURN QUERY SELECT answer.*, NULL, NULL, NULL::integer, NULL FROM unnest(all_kept_by, details) AS answer;
    END IF;
    IF probed <> '{}' THEN
        -- Only a job that was taken tries something.
        UPDATE all_findings AS found SET changed = pg_current_xact_id(), finding = used.findings -> subject
        FROM unnest(probed, probes) AS probe (about, seq) JOIN all_attempts AS attempt ON attempt.batch = of_batch
            AND job_seq = probe.seq AND owner = process AND state = 'intent'
        WHERE found.batch = of_batch AND subject = about;
    END IF;
    IF is_hungry THEN
        INSERT INTO all_usage (batch, owner, hungry_at) VALUES (of_batch, process, clock_timestamp())
        ON CONFLICT (batch, owner) DO UPDATE SET hungry_at = excluded.hungry_at;
    END IF;
END $$;
