-- The platform reports the cost of a run over all its lives. An attempt that resurrects a run takes of the budget what the run has cost
-- beyond what its earlier attempts took, which stays as it was.
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
        INSERT INTO all_usage AS sums (batch, owner, runs, memory_mbytes, committed_usd)
        VALUES (NEW.batch, NEW.owner, runs_after - runs_before, mbytes_after - mbytes_before, NEW.counts_usd - usd_before)
        ON CONFLICT (batch, owner) DO UPDATE SET runs = sums.runs + excluded.runs,
            memory_mbytes = sums.memory_mbytes + excluded.memory_mbytes,
            committed_usd = sums.committed_usd + excluded.committed_usd;
    END IF;
    RETURN NEW;
END $$;
