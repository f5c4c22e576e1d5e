-- One row: the batch itself.
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
    costs_at    TEXT,                           -- when all runs were last asked what they cost
    keeps_days  INTEGER,                        -- how long the platform keeps what runs made
    requests    INTEGER NOT NULL DEFAULT 0,
    retries     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A row per job. It is WAITING until its last attempt is over; the attempts show whether one is open.
-- NOT-STARTED and RUNNING are words of reports and never stored.
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

-- A row per attempt.
--   intent      -> started      the answer named the run
--   intent      -> unconfirmed  the answer was lost
--   intent      -> failed       the start was refused for good
--   intent      -> (deleted)    the start was refused for now: no attempt is used up
--   unconfirmed -> adopted      the run was found by its mark
--   unconfirmed -> intent       there is no run: one more send
--   unconfirmed -> lost         it stays unclear, and the user wants no second start
--   Of a resurrection, adopted means that the run's own count showed it.
--   started, adopted -> finished    the run reached a terminal status
--   started, adopted -> lost        the platform no longer knows the run
--   finished    -> collected    what it made is on disk
--   collected   -> settled      judged; the job is settled or waits for a further attempt
-- The last two are taken in one transaction as long as judging takes no time of its own.
CREATE TABLE attempts (
    job_seq        INTEGER NOT NULL REFERENCES jobs (seq),
    number         INTEGER NOT NULL,            -- from 1
    state          TEXT NOT NULL CHECK (state IN ('intent', 'unconfirmed', 'started', 'adopted',
                       'finished', 'collected', 'settled', 'lost', 'failed')),
    send           INTEGER NOT NULL DEFAULT 1,  -- start requests intended, from 1
    adopted        INTEGER NOT NULL DEFAULT 0,
    owner          TEXT NOT NULL,               -- random per process
    epoch          INTEGER NOT NULL DEFAULT 1,  -- how often it changed owners
    intent_at      TEXT NOT NULL,               -- of the last send
    remedy         TEXT,                        -- JSON of model.rules.Remedy
    reused_from    TEXT,                        -- the batch that ran it, and paid for it
    resurrects     TEXT,                        -- the run of an earlier attempt that goes on
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
    memory_mbytes  INTEGER,                     -- as the platform told them
    timeout_secs   INTEGER,
    cost_usd       TEXT,                        -- decimal; of the run, with all its attempts
    items          INTEGER,
    size_bytes     INTEGER,
    sha256         TEXT,
    records        INTEGER,                     -- in records/
    missing        TEXT NOT NULL DEFAULT '',    -- what the run did not have, a line each
    error          TEXT,
    PRIMARY KEY (job_seq, number),
    CHECK (run_id IS NOT NULL OR state IN ('intent', 'unconfirmed', 'failed', 'lost'))
) STRICT, WITHOUT ROWID;

-- A row per send whose run does not exist as far as the platform shows: if it is found, it is an orphan run.
CREATE TABLE given_up (
    job_seq INTEGER NOT NULL REFERENCES jobs (seq),
    number  INTEGER NOT NULL,
    send    INTEGER NOT NULL,
    since   TEXT NOT NULL,                      -- when it was intended
    PRIMARY KEY (job_seq, number, send)
) STRICT, WITHOUT ROWID;

-- A row per run that was found after its start had been given up: it has no attempt and is aborted.
CREATE TABLE stray_runs (
    run_id     TEXT PRIMARY KEY,
    mark       TEXT NOT NULL,
    seen_at    TEXT NOT NULL,
    run_status TEXT NOT NULL,
    cost_usd   TEXT                             -- decimal
) STRICT, WITHOUT ROWID;

-- The only index: searches by state happen once, at the start of a process, and an index on it
-- would be rewritten at each step.
CREATE UNIQUE INDEX attempts_run ON attempts (run_id)
WHERE run_id IS NOT NULL AND resurrects IS NULL;
