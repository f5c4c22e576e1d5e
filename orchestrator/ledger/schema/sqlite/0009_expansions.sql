-- A row per job whose items a sweep has taken as rows, written together with the jobs that were made of them.
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

-- The digests of the rows that sweeps with `distinct` have taken.
CREATE TABLE distinct_rows (digest INTEGER PRIMARY KEY) STRICT;
