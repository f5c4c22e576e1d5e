-- One schema holds the batches of one deployment. Each table has the rows of all batches; a view of the same name without `all_`
-- shows those of the batch that the session has chosen. So a statement about one batch is the same for SQLite, whose file holds
-- one batch, and for PostgreSQL.
CREATE DOMAIN stamp AS text COLLATE "C";        -- ISO 8601 in UTC: text order is time order

CREATE FUNCTION chosen_batch() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT CAST(NULLIF(current_setting('orchestrator.batch', true), '') AS integer) $$;

CREATE TABLE all_batches (
    batch              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                 text COLLATE "C" NOT NULL UNIQUE,
    name               text COLLATE "C" NOT NULL,
    mark               text NOT NULL,               -- begins the mark of every start
    created_at         stamp NOT NULL,
    plan               text NOT NULL,               -- JSON of model.batches.BatchPlan
    state              text NOT NULL CHECK (state IN ('open', 'stopped', 'ended')),
    ended_at           stamp,
    exit_code          integer,
    stop_reason        text,
    waits              text NOT NULL DEFAULT '[]',  -- JSON: why jobs wait, as last recorded
    keeps_days         integer,                     -- how long the platform keeps what runs made
    max_runs           integer,                     -- what may be in use at once, as the last process found it
    max_memory_mbytes  integer,                     -- NULL: no limit, or not known
    requests           bigint NOT NULL DEFAULT 0,
    retries            bigint NOT NULL DEFAULT 0,
    number             integer NOT NULL DEFAULT 0,  -- within its name, from 1; 0: not published yet
    occurrence         stamp,
    platform           text,                        -- its base URL, or 'local'
    account            text,                        -- the user id; NULL until the platform tells it
    series             text,                        -- model.batches.Series.id
    triggered_by       text NOT NULL DEFAULT 'run',
    stop_kind          text,                        -- name of the error class; NULL: not stopped early
    costs_settle_secs  double precision NOT NULL DEFAULT 120,
    owner              text,                        -- random per process: the one that drives the batch
    completed_at       stamp,                       -- merged, uploaded and reported; NULL: still to do
    progress           text,                        -- JSON of model.progress.Progress; NULL: no process runs it
    owes_news          integer NOT NULL DEFAULT 0,
    announced_end      text,
    announced_news     text,
    answers            text NOT NULL DEFAULT '{}'   -- JSON: HTTP status -> requests
);
CREATE INDEX batches_of_name ON all_batches (name, number);

CREATE TABLE all_jobs (
    batch      integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    seq        integer NOT NULL,                    -- place in the spec, from 0
    key        text COLLATE "C" NOT NULL,
    definition text NOT NULL,                       -- JSON of model.jobs.Job, defaults left out
    demand     text NOT NULL,                       -- JSON: what admission looks at, the same for many
    priority   integer NOT NULL,
    status     text NOT NULL DEFAULT 'WAITING' CHECK (status IN (
        'WAITING', 'SUCCEEDED', 'FAILED', 'TIMED-OUT', 'ABORTED', 'REJECTED', 'SKIPPED')),
    attempts   integer NOT NULL DEFAULT 0,          -- those that are over
    ready_at   double precision NOT NULL DEFAULT 0, -- not before this time (Unix seconds)
    remedy     text,                                -- JSON of model.rules.Remedy, for the next attempt
    error      text,
    PRIMARY KEY (batch, seq)
);
-- Two keys that differ in capitals only would share a folder.
CREATE UNIQUE INDEX jobs_key ON all_jobs (batch, lower(key));

-- The states and their transitions are listed beside the same table of SQLite.
CREATE TABLE all_attempts (
    batch          integer NOT NULL DEFAULT chosen_batch(),
    job_seq        integer NOT NULL,
    number         integer NOT NULL,                -- from 1
    state          text NOT NULL CHECK (state IN ('intent', 'unconfirmed', 'started', 'adopted',
                       'finished', 'settled', 'lost', 'failed')),
    send           integer NOT NULL DEFAULT 1,
    adopted        integer NOT NULL DEFAULT 0,
    owner          text NOT NULL,
    epoch          integer NOT NULL DEFAULT 1,
    intent_at      stamp NOT NULL,
    remedy         text,
    reused_from    text,
    resurrects     text,
    run_id         text COLLATE "C",
    dataset_id     text,
    store_id       text,
    run_status     text,
    status_message text,
    exit_code      integer,
    started_at     stamp,
    finished_at    stamp,
    straggles      integer NOT NULL DEFAULT 0,
    build_number   text,
    memory_mbytes  integer,
    timeout_secs   integer,
    cost_usd       text,
    items          bigint,
    size_bytes     bigint,
    sha256         text,
    records        integer,
    missing        text NOT NULL DEFAULT '',
    error          text,
    mark           text COLLATE "C",
    platform_at    stamp,
    reserved_usd   text,
    ended_at       stamp,
    cost_at        stamp,
    caps_itself    integer NOT NULL DEFAULT 1,
    outcome        text,
    proof          text,
    unproven       text,
    datasets       text,
    run_object     bytea,
    PRIMARY KEY (batch, job_seq, number),
    FOREIGN KEY (batch, job_seq) REFERENCES all_jobs ON DELETE CASCADE,
    CHECK (run_id IS NOT NULL OR state IN ('intent', 'unconfirmed', 'failed', 'lost'))
);
CREATE UNIQUE INDEX attempts_run ON all_attempts (batch, run_id)
    WHERE run_id IS NOT NULL AND resurrects IS NULL;

CREATE TABLE all_given_up (
    batch   integer NOT NULL DEFAULT chosen_batch(),
    job_seq integer NOT NULL,
    number  integer NOT NULL,
    send    integer NOT NULL,
    since   stamp NOT NULL,
    mark    text COLLATE "C",
    PRIMARY KEY (batch, job_seq, number, send),
    FOREIGN KEY (batch, job_seq) REFERENCES all_jobs ON DELETE CASCADE
);

CREATE TABLE all_orphan_runs (
    batch        integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    run_id       text COLLATE "C" NOT NULL,
    mark         text NOT NULL,
    seen_at      stamp NOT NULL,
    run_status   text NOT NULL,
    cost_usd     text,
    cost_at      stamp,
    reserved_usd text,
    PRIMARY KEY (batch, run_id)
);

CREATE TABLE all_later_resumes (
    batch      integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    occurrence stamp NOT NULL,
    began_at   stamp NOT NULL,
    PRIMARY KEY (batch, occurrence)
);

CREATE TABLE all_log_ends (
    batch   integer NOT NULL DEFAULT chosen_batch(),
    job_seq integer NOT NULL,
    number  integer NOT NULL,
    text    text NOT NULL,
    PRIMARY KEY (batch, job_seq, number),
    FOREIGN KEY (batch, job_seq) REFERENCES all_jobs ON DELETE CASCADE
);

CREATE TABLE all_calls (
    batch    integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    number   bigint GENERATED ALWAYS AS IDENTITY,
    command  text NOT NULL,
    caller   text NOT NULL,
    began_at stamp NOT NULL,
    seen_at  stamp NOT NULL,
    PRIMARY KEY (batch, number)
);

CREATE TABLE all_expansions (
    batch     integer NOT NULL DEFAULT chosen_batch(),
    sweep     text NOT NULL,                        -- the name of the sweep: model.item_sweeps.ItemSweep
    source    integer NOT NULL,                     -- the job that made the items
    first_seq integer NOT NULL,                     -- the place of the first job that was made; they follow one another
    jobs      integer NOT NULL,                     -- how many were made
    left_out  integer NOT NULL,                     -- rows that gave no job though they were wanted
    problem   text,                                 -- why the first of those gave none
    PRIMARY KEY (batch, sweep, source),
    FOREIGN KEY (batch, source) REFERENCES all_jobs ON DELETE CASCADE
);

-- The digests of the rows that sweeps with `distinct` have taken.
CREATE TABLE all_distinct_rows (
    batch  integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    digest bigint NOT NULL,
    PRIMARY KEY (batch, digest)
);

-- A row per process that has written to a batch.
CREATE TABLE all_writers (
    batch     integer NOT NULL DEFAULT chosen_batch() REFERENCES all_batches ON DELETE CASCADE,
    owner     text COLLATE "C" NOT NULL,            -- random per process
    commits   bigint NOT NULL DEFAULT 0,            -- the number of its last transaction: shows whether one was committed
    is_fenced integer NOT NULL DEFAULT 0,           -- 1: another process has taken its batch over; it writes no more
    PRIMARY KEY (batch, owner)
);

CREATE VIEW batch AS SELECT * FROM all_batches WHERE batch = chosen_batch();
CREATE VIEW jobs AS SELECT * FROM all_jobs WHERE batch = chosen_batch();
CREATE VIEW attempts AS SELECT * FROM all_attempts WHERE batch = chosen_batch();
CREATE VIEW given_up AS SELECT * FROM all_given_up WHERE batch = chosen_batch();
CREATE VIEW orphan_runs AS SELECT * FROM all_orphan_runs WHERE batch = chosen_batch();
CREATE VIEW later_resumes AS SELECT * FROM all_later_resumes WHERE batch = chosen_batch();
CREATE VIEW log_ends AS SELECT * FROM all_log_ends WHERE batch = chosen_batch();
CREATE VIEW calls AS SELECT * FROM all_calls WHERE batch = chosen_batch();
CREATE VIEW expansions AS SELECT * FROM all_expansions WHERE batch = chosen_batch();
CREATE VIEW distinct_rows AS SELECT * FROM all_distinct_rows WHERE batch = chosen_batch();
CREATE VIEW writers AS SELECT * FROM all_writers WHERE batch = chosen_batch();

-- The attempts that are not over.
CREATE VIEW open_attempts AS
SELECT * FROM attempts WHERE state <> 'settled' AND state <> 'lost' AND state <> 'failed';

-- The jobs, each with its last attempt.
CREATE VIEW job_reports AS
SELECT jobs.seq, jobs.key, jobs.definition, jobs.status, jobs.error AS job_error,
    attempts.number, attempts.state, attempts.outcome, attempts.reused_from, attempts.remedy,
    attempts.run_id, attempts.dataset_id, attempts.store_id, attempts.run_status,
    attempts.started_at, attempts.finished_at, attempts.build_number, attempts.cost_usd,
    attempts.items, attempts.size_bytes, attempts.sha256, attempts.records, attempts.missing,
    attempts.proof, attempts.unproven, attempts.datasets
FROM jobs LEFT JOIN attempts ON attempts.job_seq = jobs.seq AND attempts.number = (
    SELECT MAX(number) FROM attempts AS one WHERE one.job_seq = jobs.seq);
