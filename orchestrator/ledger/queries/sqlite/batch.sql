-- name: insert_batch
-- Writes the batch, which is open from now on.
INSERT INTO batch (only, id, name, mark, created_at, plan, state, occurrence, platform, account,
    series, triggered_by)
VALUES (1, :id, :name, :mark, :created_at, :plan, 'open', :occurrence, :platform, :account,
    :series, :triggered_by);

-- name: select_owner
-- Reads which process drives the batch.
SELECT owner FROM batch;

-- name: own_batch
-- Makes a process the owner of the batch.
UPDATE batch SET owner = :owner, progress = NULL;

-- name: select_last_number
-- Finds the highest number among the other batches in this ledger: there are none.
SELECT 0 AS number;

-- name: begin_expansion
-- Gives new jobs and digests of rows, whose places in the indexes are random, room in memory.
PRAGMA cache_size = -16384;

-- name: insert_distinct_rows
-- Records rows of a sweep, and lists those of which no equal one was taken before.
INSERT INTO distinct_rows (digest) SELECT value FROM json_each(:digests) WHERE true
ON CONFLICT DO NOTHING RETURNING digest;

-- name: select_sharing
-- Reads whether several processes share the batch: only one can drive it.
SELECT 0 AS is_shared;
