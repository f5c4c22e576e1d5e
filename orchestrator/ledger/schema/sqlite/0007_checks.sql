-- The same table of attempts with the same checks. SQLite builds a temporary index for each long list after IN, each time that a
-- statement writes a row, and that took a third of the time of a write. A chain of comparisons needs none.
DROP VIEW job_reports;
DROP VIEW open_attempts;

CREATE TABLE attempts_now (
    job_seq        INTEGER NOT NULL REFERENCES jobs (seq),
    number         INTEGER NOT NULL,            -- from 1
    state          TEXT NOT NULL,
    send           INTEGER NOT NULL DEFAULT 1,  -- start requests intended, from 1
    adopted        INTEGER NOT NULL DEFAULT 0,
    owner          TEXT NOT NULL,               -- random per process
    epoch          INTEGER NOT NULL DEFAULT 1,  -- how often it changed owners
    intent_at      TEXT NOT NULL,               -- of the last send
    remedy         TEXT,                        -- JSON of model.rules.Remedy
    reused_from    TEXT,                        -- the batch that ran it, and paid for it
    resurrects     TEXT,                        -- the run of an earlier attempt that continues
    run_id         TEXT,
    dataset_id     TEXT,
    store_id       TEXT,
    run_status     TEXT,
    status_message TEXT,
    exit_code      INTEGER,
    started_at     TEXT,
    finished_at    TEXT,
    straggles      INTEGER NOT NULL DEFAULT 0,  -- it took far longer than others of its kind
    build_number   TEXT,
    memory_mbytes  INTEGER,                     -- as the platform reported them
    timeout_secs   INTEGER,
    cost_usd       TEXT,                        -- decimal; of the run, with all its attempts
    items          INTEGER,
    size_bytes     INTEGER,
    sha256         TEXT,
    records        INTEGER,                     -- in records/
    missing        TEXT NOT NULL DEFAULT '',    -- what the run did not have, a line each
    error          TEXT,
    mark           TEXT,                        -- that the last send carried; NULL: made of the numbers alone
    platform_at    TEXT,                        -- the platform's time at the intent; NULL: not known
    reserved_usd   TEXT,                        -- decimal; what the run may cost, with the intent
    ended_at       TEXT,                        -- the platform's time at which we learnt of the run's end
    cost_at        TEXT,                        -- the platform's time at which it reported cost_usd
    caps_itself    INTEGER NOT NULL DEFAULT 1,  -- 0: reserved_usd is a cap that we chose
    outcome        TEXT,                        -- model.states.JobStatus of the attempt itself
    proof          TEXT,                        -- how the dataset is proven complete; NULL: it is not
    unproven       TEXT,                        -- why it is not proven complete
    datasets       TEXT,                        -- JSON: the other datasets that were collected
    run_object     BLOB,                        -- zlib of the JSON that the platform sent; until run.json has it
    PRIMARY KEY (job_seq, number),
    CHECK (state = 'intent' OR state = 'unconfirmed' OR state = 'started' OR state = 'adopted'
        OR state = 'finished' OR state = 'settled' OR state = 'lost' OR state = 'failed'),
    CHECK (run_id IS NOT NULL
        OR state = 'intent' OR state = 'unconfirmed' OR state = 'failed' OR state = 'lost')
) STRICT, WITHOUT ROWID;

INSERT INTO attempts_now (job_seq, number, state, send, adopted, owner, epoch, intent_at, remedy, reused_from, resurrects, run_id,
    dataset_id, store_id, run_status, status_message, exit_code, started_at, finished_at, straggles, build_number, memory_mbytes,
    timeout_secs, cost_usd, items, size_bytes, sha256, records, missing, error, mark, platform_at, reserved_usd, ended_at, cost_at,
    caps_itself, outcome, proof, unproven, datasets, run_object)
SELECT job_seq, number, state, send, adopted, owner, epoch, intent_at, remedy, reused_from, resurrects, run_id,
    dataset_id, store_id, run_status, status_message, exit_code, started_at, finished_at, straggles, build_number, memory_mbytes,
    timeout_secs, cost_usd, items, size_bytes, sha256, records, missing, error, mark, platform_at, reserved_usd, ended_at, cost_at,
    caps_itself, outcome, proof, unproven, datasets, run_object
FROM attempts;

DROP TABLE attempts;
ALTER TABLE attempts_now RENAME TO attempts;

CREATE UNIQUE INDEX attempts_run ON attempts (run_id)
WHERE run_id IS NOT NULL AND resurrects IS NULL;

-- The attempts that are not over.
CREATE VIEW open_attempts AS
SELECT * FROM attempts WHERE state <> 'settled' AND state <> 'lost' AND state <> 'failed';

-- The jobs, each with its last attempt.
CREATE VIEW job_reports AS
SELECT jobs.seq, jobs.key, jobs.definition, jobs.status, jobs.error AS job_error,
    attempts.number, attempts.state, attempts.outcome, attempts.reused_from,
    attempts.run_id, attempts.dataset_id, attempts.store_id, attempts.run_status,
    attempts.started_at, attempts.finished_at, attempts.build_number, attempts.cost_usd,
    attempts.items, attempts.size_bytes, attempts.sha256, attempts.records, attempts.missing,
    attempts.proof, attempts.unproven, attempts.datasets
FROM jobs LEFT JOIN attempts ON attempts.job_seq = jobs.seq AND attempts.number = (
    SELECT MAX(number) FROM attempts WHERE job_seq = jobs.seq);
