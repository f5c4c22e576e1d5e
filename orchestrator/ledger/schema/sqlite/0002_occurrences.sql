-- What a batch is for, to which series it belongs, and how it ended.
ALTER TABLE batch ADD COLUMN number INTEGER NOT NULL DEFAULT 0;  -- within its name, from 1; 0: made before batches had numbers
ALTER TABLE batch ADD COLUMN occurrence TEXT;                    -- UTC; NULL: made before batches had occurrences
ALTER TABLE batch ADD COLUMN platform TEXT;                      -- its base URL, or 'local'
ALTER TABLE batch ADD COLUMN account TEXT;                       -- the user id; NULL until the platform tells it
ALTER TABLE batch ADD COLUMN series TEXT;                        -- model.batches.Series.id
ALTER TABLE batch ADD COLUMN triggered_by TEXT NOT NULL DEFAULT 'run';  -- what triggered it: model.batches.Trigger
ALTER TABLE batch ADD COLUMN stop_kind TEXT;                     -- name of the error class; NULL: not stopped early
ALTER TABLE batch ADD COLUMN costs_settle_secs REAL NOT NULL DEFAULT 120;  -- a cost that is asked so long after the end is final
ALTER TABLE batch ADD COLUMN owner TEXT;                         -- random per process: the one that drives the batch
ALTER TABLE batch ADD COLUMN completed_at TEXT;                  -- merged, uploaded and reported; NULL: still to do
UPDATE batch SET completed_at = ended_at WHERE state <> 'open';

-- A row per later occurrence at which a call resumed this batch, written before it does.
CREATE TABLE later_resumes (
    occurrence TEXT PRIMARY KEY,                -- UTC
    began_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE attempts ADD COLUMN mark TEXT;           -- that the last send carried; NULL: made of the numbers alone
ALTER TABLE attempts ADD COLUMN platform_at TEXT;    -- the platform's time at the intent; NULL: not known
ALTER TABLE attempts ADD COLUMN reserved_usd TEXT;   -- decimal; what the run may cost, with the intent
ALTER TABLE attempts ADD COLUMN ended_at TEXT;       -- the platform's time at which we learnt of the run's end
ALTER TABLE attempts ADD COLUMN cost_at TEXT;        -- the platform's time at which cost_usd was told
ALTER TABLE attempts ADD COLUMN caps_itself INTEGER NOT NULL DEFAULT 1;  -- 0: reserved_usd is a cap that we chose
ALTER TABLE attempts ADD COLUMN outcome TEXT;        -- model.states.JobStatus of the attempt itself
ALTER TABLE attempts ADD COLUMN proof TEXT;          -- how the dataset is proven complete; NULL: it is not
ALTER TABLE attempts ADD COLUMN unproven TEXT;       -- why it is not proven complete
ALTER TABLE attempts ADD COLUMN datasets TEXT;       -- JSON: the other datasets that were collected
ALTER TABLE attempts ADD COLUMN run_object BLOB;     -- zlib of the JSON that the platform sent; until run.json has it
ALTER TABLE given_up ADD COLUMN mark TEXT;           -- as attempts.mark
ALTER TABLE stray_runs RENAME TO orphan_runs;
ALTER TABLE orphan_runs ADD COLUMN cost_at TEXT;     -- as attempts.cost_at
ALTER TABLE orphan_runs ADD COLUMN reserved_usd TEXT;  -- as attempts.reserved_usd, of an attempt of the same job
UPDATE attempts SET cost_at = (SELECT costs_at FROM batch) WHERE run_id IS NOT NULL;
UPDATE orphan_runs SET cost_at = (SELECT costs_at FROM batch);
ALTER TABLE batch DROP COLUMN costs_at;              -- what each run cost has its own time
