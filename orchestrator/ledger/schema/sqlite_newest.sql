-- The newest version; `make references` writes it from all versions.
CREATE TABLE batch (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    mark        TEXT NOT NULL,                  -- begins the mark of every start
    created_at  TEXT NOT NULL,
    plan        TEXT NOT NULL,                  -- JSON of model.batches.BatchPlan
    state       TEXT NOT NULL CHECK (state IN ('open', 'stopped', 'ended')),
    ended_at    TEXT,
    exit_code   INTEGER,
    stop_reason TEXT,
    waits       TEXT NOT NULL DEFAULT '[]',     -- JSON: why jobs wait, as last told
    keeps_days  INTEGER,                        -- how long the platform keeps what runs made
    requests    INTEGER NOT NULL DEFAULT 0,
    retries     INTEGER NOT NULL DEFAULT 0
, number INTEGER NOT NULL DEFAULT 0, occurrence TEXT, platform TEXT, account TEXT, series TEXT, triggered_by TEXT NOT NULL DEFAULT 'run', stop_kind TEXT, costs_settle_secs REAL NOT NULL DEFAULT 120, owner TEXT, completed_at TEXT, progress TEXT, owes_news INTEGER NOT NULL DEFAULT 0, announced_end TEXT, announced_news TEXT, answers TEXT NOT NULL DEFAULT '{}', max_runs INTEGER, max_memory_mbytes INTEGER) STRICT;

CREATE TABLE jobs (
    seq        INTEGER PRIMARY KEY,             -- place in the spec, from 0
    key        TEXT NOT NULL UNIQUE COLLATE NOCASE,
    definition TEXT NOT NULL,                   -- JSON of model.jobs.Job, defaults left out
    demand     TEXT NOT NULL,                   -- JSON: what admission looks at, the same for many
    priority   INTEGER NOT NULL,
    status     TEXT NOT NULL DEFAULT 'WAITING' CHECK (status IN (
        'WAITING', 'SUCCEEDED', 'FAILED', 'TIMED-OUT', 'ABORTED', 'REJECTED', 'SKIPPED')),
    attempts   INTEGER NOT NULL DEFAULT 0,      -- those that are over
    ready_at   REAL NOT NULL DEFAULT 0,         -- not before this time (Unix seconds)
    remedy     TEXT,                            -- JSON of model.rules.Remedy, for the next attempt
    error      TEXT
) STRICT;

CREATE TABLE given_up (
    job_seq INTEGER NOT NULL REFERENCES jobs (seq),
    number  INTEGER NOT NULL,
    send    INTEGER NOT NULL,
    since   TEXT NOT NULL, mark TEXT,                      -- when it was intended
    PRIMARY KEY (job_seq, number, send)
) STRICT, WITHOUT ROWID;

CREATE TABLE "orphan_runs" (
    run_id     TEXT PRIMARY KEY,
    mark       TEXT NOT NULL,
    seen_at    TEXT NOT NULL,
    run_status TEXT NOT NULL,
    cost_usd   TEXT                             -- decimal
, cost_at TEXT, reserved_usd TEXT) STRICT, WITHOUT ROWID;

CREATE TABLE later_resumes (
    occurrence TEXT PRIMARY KEY,                -- UTC
    began_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE log_ends (
    job_seq INTEGER NOT NULL REFERENCES jobs (seq),
    number  INTEGER NOT NULL,                   -- of the attempt
    text    TEXT NOT NULL,
    PRIMARY KEY (job_seq, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE calls (
    number   INTEGER PRIMARY KEY,               -- from 1
    command  TEXT NOT NULL,                     -- as the user calls it
    caller   TEXT NOT NULL,                     -- model.batches.Caller
    began_at TEXT NOT NULL,
    seen_at  TEXT NOT NULL                      -- when it last wrote; once it is over, its end
) STRICT;

CREATE TABLE "attempts" (
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

CREATE UNIQUE INDEX attempts_run ON attempts (run_id)
WHERE run_id IS NOT NULL AND resurrects IS NULL;

CREATE VIEW open_attempts AS
SELECT * FROM attempts WHERE state <> 'settled' AND state <> 'lost' AND state <> 'failed';

CREATE TABLE expansions (
    sweep     TEXT NOT NULL,                    -- the name of the sweep: model.item_sweeps.ItemSweep
    source    INTEGER NOT NULL REFERENCES jobs (seq),  -- the job that made the items
    first_seq INTEGER NOT NULL,                 -- the place of the first job that was made; they follow one another
    jobs      INTEGER NOT NULL,                 -- how many were made
    left_out  INTEGER NOT NULL,                 -- rows that gave no job though they were wanted
    problem   TEXT,                             -- why the first of those gave none
    PRIMARY KEY (sweep, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX expansions_first ON expansions (first_seq);

CREATE TABLE distinct_rows (digest INTEGER PRIMARY KEY) STRICT;

CREATE VIEW job_reports AS
SELECT jobs.seq, jobs.key, jobs.definition, jobs.status, jobs.error AS job_error,
    attempts.number, attempts.state, attempts.outcome, attempts.reused_from, attempts.remedy,
    attempts.run_id, attempts.dataset_id, attempts.store_id, attempts.run_status,
    attempts.started_at, attempts.finished_at, attempts.build_number, attempts.cost_usd,
    attempts.items, attempts.size_bytes, attempts.sha256, attempts.records, attempts.missing,
    attempts.proof, attempts.unproven, attempts.datasets
FROM jobs LEFT JOIN attempts ON attempts.job_seq = jobs.seq AND attempts.number = (
    SELECT MAX(number) FROM attempts WHERE job_seq = jobs.seq);
