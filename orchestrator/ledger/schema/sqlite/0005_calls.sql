-- The end of the logs of failed runs: one for each cause of failures, without secrets.
CREATE TABLE log_ends (
    job_seq INTEGER NOT NULL REFERENCES jobs (seq),
    number  INTEGER NOT NULL,                   -- of the attempt
    text    TEXT NOT NULL,
    PRIMARY KEY (job_seq, number)
) STRICT, WITHOUT ROWID;

-- A row per process that drove the batch.
CREATE TABLE calls (
    number   INTEGER PRIMARY KEY,               -- from 1
    command  TEXT NOT NULL,                     -- as the user calls it
    caller   TEXT NOT NULL,                     -- model.batches.Caller
    began_at TEXT NOT NULL,
    seen_at  TEXT NOT NULL                      -- when it last wrote; once it is over, its end
) STRICT;
