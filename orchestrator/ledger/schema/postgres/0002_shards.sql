-- Several processes work on one batch. Each has a lease, which each of its transactions renews. All times are the server's.
ALTER TABLE all_writers ADD COLUMN lease_until timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE all_writers ADD COLUMN is_shard integer NOT NULL DEFAULT 0;
ALTER TABLE all_writers ADD COLUMN is_working integer NOT NULL DEFAULT 1;  -- 0: it has left, or waits for the end of the batch

ALTER TABLE all_jobs ADD COLUMN taken_by text COLLATE "C";          -- the process whose job it is; NULL: anybody's
ALTER TABLE all_jobs ADD COLUMN changed xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX jobs_changed ON all_jobs (batch, changed);
CREATE INDEX jobs_waiting ON all_jobs (batch, seq) WHERE status = 'WAITING';

ALTER TABLE all_attempts ADD COLUMN claim_mbytes integer NOT NULL DEFAULT 0;
ALTER TABLE all_attempts ADD COLUMN claim_pools text;               -- JSON: a list; NULL: none
ALTER TABLE all_attempts ADD COLUMN sent_at timestamptz NOT NULL DEFAULT clock_timestamp();  -- of the last intent
ALTER TABLE all_attempts ADD COLUMN counts_usd numeric NOT NULL DEFAULT 0;  -- what it takes of the budget
CREATE INDEX attempts_open ON all_attempts (batch, owner)
    WHERE state <> 'settled' AND state <> 'lost' AND state <> 'failed';
CREATE INDEX attempts_of_pools ON all_attempts (batch, sent_at) WHERE claim_pools IS NOT NULL;

ALTER TABLE all_batches ADD COLUMN halt_kind text;                  -- name of the error class; NULL: not halted
ALTER TABLE all_batches ADD COLUMN halt_reason text;
ALTER TABLE all_batches ADD COLUMN finalizer text COLLATE "C";      -- the process that closes the batch
ALTER TABLE all_batches ADD COLUMN serves text COLLATE "C" UNIQUE;  -- series and occurrence, of a batch that shards share
ALTER TABLE all_batches ADD COLUMN spec_name text;
ALTER TABLE all_batches ADD COLUMN spec bytea;

-- What all processes together use of the limits of a batch.
CREATE TABLE all_usage (
    batch         integer PRIMARY KEY DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    runs          bigint NOT NULL DEFAULT 0,
    memory_mbytes bigint NOT NULL DEFAULT 0,
    committed_usd numeric NOT NULL DEFAULT 0
);

CREATE FUNCTION note_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE TRIGGER note_job BEFORE UPDATE ON all_jobs FOR EACH ROW EXECUTE FUNCTION note_job();

-- Keeps the sums of a batch equal to its attempts: a process that dies cannot forget to give back what it used.
CREATE FUNCTION note_attempt() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    of_batch integer;
    settle double precision;
    ended timestamptz;
    more_runs integer := 0;
    mbytes integer := 0;
    usd numeric := 0;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        of_batch := OLD.batch;
        usd := -OLD.counts_usd;
        IF OLD.state IN ('intent', 'unconfirmed', 'started', 'adopted') THEN
            more_runs := -1;
            mbytes := -OLD.claim_mbytes;
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        of_batch := NEW.batch;
        IF TG_OP = 'UPDATE' AND NEW.send <> OLD.send THEN
            NEW.sent_at := clock_timestamp();
        END IF;
        NEW.counts_usd := COALESCE(CAST(NEW.reserved_usd AS numeric), 0);
        IF NEW.state IN ('intent', 'unconfirmed', 'started', 'adopted') THEN
            more_runs := more_runs + 1;
            mbytes := mbytes + NEW.claim_mbytes;
        ELSIF NEW.state = 'failed' OR NEW.reused_from IS NOT NULL THEN
            NEW.counts_usd := 0;
        ELSIF NEW.state <> 'lost' AND NEW.cost_usd IS NOT NULL THEN
            SELECT costs_settle_secs INTO settle FROM all_batches WHERE batch = of_batch;
            ended := CAST(COALESCE(NEW.finished_at, NEW.ended_at) AS timestamptz);
            IF CAST(NEW.cost_at AS timestamptz) >= ended + (settle - 0.001) * interval '1 second' THEN
                NEW.counts_usd := CAST(NEW.cost_usd AS numeric);
            ELSE
                NEW.counts_usd := GREATEST(NEW.counts_usd, CAST(NEW.cost_usd AS numeric));
            END IF;
        END IF;
        usd := usd + NEW.counts_usd;
    END IF;
    IF TG_OP = 'DELETE' THEN
        UPDATE all_usage AS sums SET runs = sums.runs + more_runs,
            memory_mbytes = sums.memory_mbytes + mbytes, committed_usd = sums.committed_usd + usd
        WHERE batch = of_batch;
        RETURN OLD;
    END IF;
    IF more_runs <> 0 OR mbytes <> 0 OR usd <> 0 THEN
        INSERT INTO all_usage AS sums (batch, runs, memory_mbytes, committed_usd)
        VALUES (of_batch, more_runs, mbytes, usd)
        ON CONFLICT (batch) DO UPDATE SET runs = sums.runs + excluded.runs,
            memory_mbytes = sums.memory_mbytes + excluded.memory_mbytes,
            committed_usd = sums.committed_usd + excluded.committed_usd;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER note_attempt BEFORE INSERT OR UPDATE OR DELETE ON all_attempts
FOR EACH ROW EXECUTE FUNCTION note_attempt();

CREATE OR REPLACE VIEW batch AS SELECT * FROM all_batches WHERE batch = chosen_batch();
CREATE OR REPLACE VIEW jobs AS SELECT * FROM all_jobs WHERE batch = chosen_batch();
CREATE OR REPLACE VIEW attempts AS SELECT * FROM all_attempts WHERE batch = chosen_batch();
CREATE OR REPLACE VIEW open_attempts AS
SELECT * FROM attempts WHERE state <> 'settled' AND state <> 'lost' AND state <> 'failed';
CREATE OR REPLACE VIEW writers AS SELECT * FROM all_writers WHERE batch = chosen_batch();
CREATE VIEW usage AS SELECT * FROM all_usage WHERE batch = chosen_batch();
