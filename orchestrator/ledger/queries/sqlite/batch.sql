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

-- name: lock_expansions
-- Makes another process that adds jobs to the batch wait until this transaction has ended.
UPDATE batch SET id = id;
