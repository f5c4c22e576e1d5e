-- What each process uses of the limits is a row of its own: nobody waits for the commit of another one to give something back.
DROP VIEW usage;
DROP TABLE all_usage;
CREATE TABLE all_usage (
    batch         integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    owner         text COLLATE "C" NOT NULL,
    runs          bigint NOT NULL DEFAULT 0,
    memory_mbytes bigint NOT NULL DEFAULT 0,
    committed_usd numeric NOT NULL DEFAULT 0,
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

-- Claims jobs: takes each, and writes the intent of its attempt, if all processes together stay within the limits. The caller has
-- locked the claims of the batch until its commit. Gives a row for each of `wanted`, in their order: the limit that is reached, or
-- the job; neither when the job is another process's.
CREATE FUNCTION claim_jobs(process text, wanted json)
RETURNS TABLE (limit_reached text, in_use text, job_definition text, job_remedy text, next_send integer,
    next_mark text)
LANGUAGE plpgsql AS $$
DECLARE
    of_batch integer := chosen_batch();
    one record;
    pool text;
    pools_in_use record;
    all_runs bigint;
    all_mbytes bigint;
    all_usd numeric;
BEGIN
    SELECT COALESCE(SUM(runs), 0), COALESCE(SUM(memory_mbytes), 0), COALESCE(SUM(committed_usd), 0)
    INTO all_runs, all_mbytes, all_usd FROM all_usage WHERE batch = of_batch;
    FOR one IN SELECT * FROM json_to_recordset(wanted) AS asked (seq integer, number integer, mark text, word text,
        intent_at text, platform_at text, reserved_usd text, caps_itself integer, mbytes integer, pools json,
        max_runs integer, max_mbytes bigint, max_usd numeric, pool_runs jsonb, pool_starts jsonb)
    LOOP
        limit_reached := NULL;
        in_use := NULL;
        job_definition := NULL;
        IF all_runs >= one.max_runs THEN
            limit_reached := 'runs';
            in_use := all_runs;
        ELSIF all_mbytes + one.mbytes > one.max_mbytes THEN
            limit_reached := 'memory';
            in_use := all_mbytes;
        ELSIF all_usd + CAST(one.reserved_usd AS numeric) > one.max_usd THEN
            limit_reached := 'money';
            in_use := all_usd;
        ELSIF one.pools IS NOT NULL THEN
            -- Again for each: it counts the claims before it.
            SELECT * INTO pools_in_use FROM use_of_pools(of_batch);
            FOR pool IN SELECT json_array_elements_text(one.pools) LOOP
                IF COALESCE(CAST(pools_in_use.runs ->> pool AS bigint), 0) >= CAST(one.pool_runs ->> pool AS bigint) THEN
                    limit_reached := 'pool ' || pool;
                    in_use := COALESCE(pools_in_use.runs ->> pool, '0') || ' runs';
                ELSIF COALESCE(CAST(pools_in_use.starts ->> pool AS bigint), 0) >= CAST(one.pool_starts ->> pool AS bigint) THEN
                    limit_reached := 'pool ' || pool;
                    in_use := COALESCE(pools_in_use.starts ->> pool, '0') || ' starts';
                END IF;
                EXIT WHEN limit_reached IS NOT NULL;
            END LOOP;
        END IF;
        IF limit_reached IS NULL THEN
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
                all_runs := all_runs + 1;
                all_mbytes := all_mbytes + one.mbytes;
                all_usd := all_usd + COALESCE(CAST(one.reserved_usd AS numeric), 0);
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

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
