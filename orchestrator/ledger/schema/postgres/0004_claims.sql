-- What each process uses of the limits is a row of its own: nobody waits for the commit of another one to give something back.
DROP VIEW usage;
DROP TABLE all_usage;
CREATE TABLE all_usage (
    batch         integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    owner         text COLLATE "C" NOT NULL,
    runs          bigint NOT NULL DEFAULT 0,
    memory_mbytes bigint NOT NULL DEFAULT 0,
    committed_usd numeric NOT NULL DEFAULT 0,
    settled       bigint NOT NULL DEFAULT 0,            -- jobs that it has settled by an attempt, while several processes worked
    failed        bigint NOT NULL DEFAULT 0,            -- those of them that did not succeed
    hungry_at     timestamptz NOT NULL DEFAULT '-infinity',  -- when a limit last kept it from a start
    PRIMARY KEY (batch, owner)
) WITH (fillfactor = 50);
INSERT INTO all_usage (batch, owner, runs, memory_mbytes, committed_usd)
SELECT batch, owner, COUNT(*) FILTER (WHERE state IN ('intent', 'unconfirmed', 'started', 'adopted')),
    COALESCE(SUM(claim_mbytes) FILTER (WHERE state IN ('intent', 'unconfirmed', 'started', 'adopted')), 0),
    SUM(counts_usd)
FROM all_attempts GROUP BY batch, owner;
CREATE VIEW usage AS SELECT * FROM all_usage WHERE batch = chosen_batch();

-- Keeps the sums of each process equal to its attempts: one that dies cannot forget to give back what it used.
CREATE OR REPLACE FUNCTION note_attempt() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    settle double precision;
    ended timestamptz;
    runs_before integer := 0;
    runs_after integer := 0;
    mbytes_before integer := 0;
    mbytes_after integer := 0;
    usd_before numeric := 0;
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
    ELSIF NEW.state <> 'lost' AND NEW.cost_usd IS NOT NULL THEN
        SELECT costs_settle_secs INTO settle FROM all_batches WHERE batch = NEW.batch;
        ended := CAST(COALESCE(NEW.finished_at, NEW.ended_at) AS timestamptz);
        IF CAST(NEW.cost_at AS timestamptz) >= ended + (settle - 0.001) * interval '1 second' THEN
            NEW.counts_usd := CAST(NEW.cost_usd AS numeric);
        ELSE
            NEW.counts_usd := GREATEST(NEW.counts_usd, CAST(NEW.cost_usd AS numeric));
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
        INSERT INTO all_usage AS sums (batch, owner, runs, memory_mbytes, committed_usd)
        VALUES (NEW.batch, NEW.owner, runs_after - runs_before, mbytes_after - mbytes_before, NEW.counts_usd - usd_before)
        ON CONFLICT (batch, owner) DO UPDATE SET runs = sums.runs + excluded.runs,
            memory_mbytes = sums.memory_mbytes + excluded.memory_mbytes,
            committed_usd = sums.committed_usd + excluded.committed_usd;
    END IF;
    RETURN NEW;
END $$;

-- What processes find out together. Only who has the turn to claim changes it.
CREATE TABLE all_findings (
    batch   integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    subject text COLLATE "C" NOT NULL,              -- 'runs', 'memory', or what jobs run
    finding jsonb NOT NULL,                         -- of scheduler.decide: capacity.Estimate, or start_gate.Record
    changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (batch, subject)
);
CREATE VIEW findings AS SELECT * FROM all_findings WHERE batch = chosen_batch();

-- Counts the jobs that processes have settled by an attempt.
CREATE FUNCTION count_job() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    is_failed integer := CASE NEW.status WHEN 'SUCCEEDED' THEN 0 ELSE 1 END;
BEGIN
    INSERT INTO all_usage AS sums (batch, owner, settled, failed) VALUES (NEW.batch, NEW.taken_by, 1, is_failed)
    ON CONFLICT (batch, owner) DO UPDATE SET settled = sums.settled + 1, failed = sums.failed + is_failed;
    RETURN NULL;
END $$;
CREATE TRIGGER count_job AFTER UPDATE ON all_jobs FOR EACH ROW
WHEN (NEW.taken_by IS NOT NULL AND NEW.attempts > OLD.attempts AND OLD.status = 'WAITING' AND NEW.status <> 'WAITING')
EXECUTE FUNCTION count_job();

-- Counts the runs in each pool of a batch, and the starts of the last minute with a second's reserve.
CREATE FUNCTION use_of_pools(of_batch integer, OUT runs jsonb, OUT starts jsonb) LANGUAGE sql AS $$
    SELECT jsonb_object_agg(pool, its_runs), jsonb_object_agg(pool, its_starts) FROM (
        SELECT pool, SUM(all_runs) AS its_runs, SUM(all_starts) AS its_starts FROM (
            SELECT claim_pools, COUNT(*) FILTER (WHERE state IN ('intent', 'unconfirmed', 'started', 'adopted')) AS all_runs,
                COUNT(*) FILTER (WHERE sent_at > clock_timestamp() - interval '61 seconds') AS all_starts
            FROM all_attempts WHERE batch = of_batch AND claim_pools IS NOT NULL
                AND (sent_at > clock_timestamp() - interval '61 seconds'
                    OR (state <> 'settled' AND state <> 'lost' AND state <> 'failed'))
            GROUP BY claim_pools) AS kinds
        CROSS JOIN json_array_elements_text(CAST(claim_pools AS json)) AS pool
        GROUP BY pool) AS pools
$$;

CREATE FUNCTION begin_probe(of_batch integer, resource text, moment double precision) RETURNS jsonb LANGUAGE sql AS $$
    UPDATE all_findings SET changed = pg_current_xact_id(), finding = finding || jsonb_build_object(
        'is_probing', true, 'probe_at', moment + CAST(finding ->> 'pause_secs' AS double precision))
    WHERE batch = of_batch AND subject = resource RETURNING finding
$$;

-- The first of some pools whose limit one more start would exceed, and what is in use of it; no row when it fits.
CREATE FUNCTION reached_pool(of_batch integer, pools json, most_runs jsonb, most_starts jsonb, OUT kept_by text, OUT detail text)
LANGUAGE sql AS $$
    SELECT 'pool ' || pool, CASE
        WHEN COALESCE(CAST(used.runs ->> pool AS bigint), 0) >= CAST(most_runs ->> pool AS bigint)
        THEN COALESCE(used.runs ->> pool, '0') || ' runs' ELSE COALESCE(used.starts ->> pool, '0') || ' starts' END
    FROM use_of_pools(of_batch) AS used CROSS JOIN json_array_elements_text(pools) AS pool
    WHERE COALESCE(CAST(used.runs ->> pool AS bigint), 0) >= CAST(most_runs ->> pool AS bigint)
        OR COALESCE(CAST(used.starts ->> pool AS bigint), 0) >= CAST(most_starts ->> pool AS bigint)
    LIMIT 1
$$;

-- Claims jobs: takes each, and writes the intent of its attempt, if all processes together stay within the limits. The caller has
-- the turn to claim until its commit. Gives a row for each of `wanted`, in their order: what keeps it from a start, or the job;
-- neither when the job is another process's.
CREATE FUNCTION claim_jobs(process text, wanted json)
RETURNS TABLE (kept_by text, detail text, job_definition text, job_remedy text, next_send integer, next_mark text)
LANGUAGE plpgsql AS $$
DECLARE
    of_batch integer := chosen_batch();
    moment double precision := EXTRACT(EPOCH FROM clock_timestamp());
    one record;
    used record;
    halt text;
    room_of_runs jsonb;
    room_of_memory jsonb;
    target jsonb;
    is_hungry boolean := false;
BEGIN
    SELECT COALESCE(SUM(runs), 0) AS runs, COALESCE(SUM(memory_mbytes), 0) AS mbytes, COALESCE(SUM(committed_usd), 0) AS usd,
        COALESCE(SUM(settled), 0) AS settled, COALESCE(SUM(failed), 0) AS failed
    INTO used FROM all_usage WHERE batch = of_batch;
    SELECT halt_kind INTO halt FROM all_batches WHERE batch = of_batch;
    SELECT finding INTO room_of_runs FROM all_findings WHERE batch = of_batch AND subject = 'runs';
    SELECT finding INTO room_of_memory FROM all_findings WHERE batch = of_batch AND subject = 'memory';
    FOR one IN SELECT * FROM json_to_recordset(wanted) AS asked (seq integer, number integer, target text, mark text, word text,
        intent_at text, platform_at text, reserved_usd text, caps_itself integer, mbytes integer, pools json,
        max_runs integer, max_mbytes bigint, max_usd numeric, pool_runs jsonb, pool_starts jsonb,
        max_failed integer, failed_share double precision, sample integer)
    LOOP
        kept_by := NULL;
        detail := NULL;
        job_definition := NULL;
        SELECT finding INTO target FROM all_findings WHERE batch = of_batch AND subject = one.target;
        IF halt IS NOT NULL THEN
            kept_by := 'halt';
            detail := halt;
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
        ELSIF used.runs + 1 > CAST(room_of_runs ->> 'fits' AS bigint)
            AND moment < CAST(room_of_runs ->> 'probe_at' AS double precision) THEN
            kept_by := 'room of runs';
            detail := room_of_runs || jsonb_build_object('now', moment);
        ELSIF used.mbytes + one.mbytes > CAST(room_of_memory ->> 'fits' AS bigint)
            AND moment < CAST(room_of_memory ->> 'probe_at' AS double precision) THEN
            kept_by := 'room of memory';
            detail := room_of_memory || jsonb_build_object('now', moment);
        ELSIF one.pools IS NOT NULL THEN
            SELECT reached.kept_by, reached.detail INTO kept_by, detail
            FROM reached_pool(of_batch, one.pools, one.pool_runs, one.pool_starts) AS reached;
        END IF;
        IF kept_by IS NULL THEN
            -- Who else has locked the job now settles it, or gives it back: waiting for that could be for each other.
            UPDATE all_jobs SET taken_by = process WHERE ctid = (
                SELECT ctid FROM all_jobs WHERE batch = of_batch AND seq = one.seq AND status = 'WAITING'
                AND attempts = one.number - 1 AND (taken_by IS NULL OR taken_by = process)
                AND NOT EXISTS (SELECT 1 FROM all_attempts AS attempt WHERE attempt.batch = of_batch
                    AND attempt.job_seq = one.seq AND state <> 'settled' AND state <> 'lost' AND state <> 'failed')
                FOR UPDATE SKIP LOCKED)
            RETURNING definition, remedy INTO job_definition, job_remedy;
            IF FOUND THEN
                next_send := 1 + COALESCE((SELECT MAX(send) FROM all_given_up AS gone WHERE gone.batch = of_batch
                    AND gone.job_seq = one.seq AND gone.number = one.number), 0);
                next_mark := one.mark || next_send || one.word;
                INSERT INTO all_attempts (batch, job_seq, number, state, owner, intent_at, platform_at, reserved_usd, remedy,
                    resurrects, send, mark, caps_itself, claim_mbytes, claim_pools)
                VALUES (of_batch, one.seq, one.number, 'intent', process, one.intent_at, one.platform_at, one.reserved_usd,
                    job_remedy, CAST(job_remedy AS json) ->> 'resurrects', next_send, next_mark, one.caps_itself,
                    one.mbytes, CAST(one.pools AS text));
                used.runs := used.runs + 1;
                used.mbytes := used.mbytes + one.mbytes;
                used.usd := used.usd + COALESCE(CAST(one.reserved_usd AS numeric), 0);
                -- A start beyond what fits shows whether there is more room now; a job of a paused target, whether it works again.
                IF used.runs > CAST(room_of_runs ->> 'fits' AS bigint) THEN
                    room_of_runs := begin_probe(of_batch, 'runs', moment);
                    detail := 'probe';
                END IF;
                IF used.mbytes > CAST(room_of_memory ->> 'fits' AS bigint) THEN
                    room_of_memory := begin_probe(of_batch, 'memory', moment);
                    detail := 'probe';
                END IF;
                IF COALESCE(target ->> 'reason', '') <> '' THEN
                    UPDATE all_findings SET finding = finding || jsonb_build_object('probe', one.seq), changed = pg_current_xact_id()
                    WHERE batch = of_batch AND subject = one.target;
                END IF;
            END IF;
        ELSIF kept_by IN ('runs', 'memory') THEN
            is_hungry := true;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF is_hungry THEN
        INSERT INTO all_usage (batch, owner, hungry_at) VALUES (of_batch, process, clock_timestamp())
        ON CONFLICT (batch, owner) DO UPDATE SET hungry_at = excluded.hungry_at;
    END IF;
END $$;
