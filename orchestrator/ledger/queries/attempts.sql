-- name: insert_run
-- Writes the first attempt of a job with a run that another program started.
INSERT INTO attempts (job_seq, number, state, adopted, owner, intent_at, run_id, dataset_id,
    store_id, run_status, started_at, build_number, memory_mbytes, timeout_secs)
VALUES (:seq, 1, 'adopted', 1, '', :intent_at, :run_id, :dataset_id,
    :store_id, :run_status, :started_at, :build_number, :memory_mbytes, :timeout_secs);

-- name: insert_adopted
-- Writes an attempt with a run that another process started for it.
INSERT INTO attempts (job_seq, number, state, adopted, owner, intent_at, platform_at, remedy, send,
    mark, run_id, dataset_id, store_id, run_status, started_at, build_number)
SELECT seq, :number, 'adopted', 1, :owner, :started_at, :started_at, remedy, :send,
    :mark, :run_id, :dataset_id, :store_id, :run_status, :started_at, :build_number
FROM jobs WHERE seq = :seq;

-- name: insert_reused
-- Writes the first attempt of a job with what an earlier batch has collected, unless its run is another job's.
INSERT INTO attempts (job_seq, number, state, owner, intent_at, run_id, dataset_id, store_id,
    run_status, started_at, finished_at, build_number, items, size_bytes, sha256, records,
    missing, proof, unproven, datasets, reused_from)
VALUES (:seq, 1, 'settled', :owner, :intent_at, :run_id, :dataset_id, :store_id,
    :run_status, :started_at, :finished_at, :build_number, :items, :size_bytes, :sha256, :records,
    :missing, :proof, :unproven, :datasets, :reused_from)
ON CONFLICT DO NOTHING;

-- name: delete_intent
-- intent -> (deleted): the start was refused for now.
DELETE FROM attempts WHERE job_seq = :seq AND number = :number AND state = 'intent';

-- name: send_again
-- intent, unconfirmed -> intent: the start is sent once more, with another mark.
UPDATE attempts SET state = 'intent', send = :send, mark = :mark, intent_at = :intent_at,
    platform_at = :platform_at, owner = :owner
WHERE job_seq = :seq AND number = :number AND send = :send - 1
    AND state IN ('intent', 'unconfirmed');

-- name: mark_unconfirmed
-- intent -> unconfirmed: the answer to the start was lost.
UPDATE attempts SET state = 'unconfirmed', error = :error
WHERE job_seq = :seq AND number = :number AND state = 'intent';

-- name: mark_started
-- intent, unconfirmed -> started, adopted: the run is known.
UPDATE attempts SET state = :state, adopted = :adopted, run_id = :run_id,
    dataset_id = :dataset_id, store_id = :store_id, run_status = :run_status,
    started_at = :started_at, build_number = :build_number, memory_mbytes = :memory_mbytes,
    timeout_secs = :timeout_secs, error = NULL
WHERE job_seq = :seq AND number = :number AND state IN ('intent', 'unconfirmed');

-- name: mark_seen
-- Records the status of a live run, and whether it is a straggler.
UPDATE attempts SET run_status = :run_status, straggles = :straggles
WHERE job_seq = :seq AND number = :number AND state IN ('started', 'adopted');

-- name: mark_finished
-- started, adopted -> finished: the run has reached a terminal status.
UPDATE attempts SET state = 'finished', dataset_id = :dataset_id, store_id = :store_id,
    run_status = :run_status, status_message = :status_message, exit_code = :exit_code,
    started_at = :started_at, finished_at = :finished_at, cost_usd = :cost_usd, build_number = :build_number,
    memory_mbytes = COALESCE(:memory_mbytes, memory_mbytes),
    timeout_secs = COALESCE(:timeout_secs, timeout_secs), straggles = :straggles,
    ended_at = :ended_at, cost_at = :ended_at, run_object = :run_object
WHERE job_seq = :seq AND number = :number AND state IN ('started', 'adopted');

-- name: mark_over
-- Any open state -> settled, lost, failed: the attempt is over.
UPDATE attempts SET state = :state, outcome = :outcome, error = :error, items = :items,
    size_bytes = :size_bytes, sha256 = :sha256, records = :records, missing = :missing,
    proof = :proof, unproven = :unproven, datasets = :datasets
WHERE job_seq = :seq AND number = :number AND EXISTS (
    SELECT 1 FROM open_attempts AS one WHERE one.job_seq = :seq AND one.number = :number);

-- name: find_again
-- lost -> settled: the run is known again, and has ended.
UPDATE attempts SET state = 'settled', run_status = :run_status,
    status_message = :status_message, exit_code = :exit_code, finished_at = :finished_at
WHERE job_seq = :seq AND number = :number AND state = 'lost' AND run_id IS NOT NULL;

-- name: reopen_attempt
-- lost -> started: the run is known again, and is live.
UPDATE attempts SET state = 'started', run_status = :run_status, outcome = NULL, error = NULL
WHERE job_seq = :seq AND number = :number AND state = 'lost' AND run_id IS NOT NULL;

-- name: collect_again
-- Records what was downloaded later of a settled attempt.
UPDATE attempts SET items = :items, size_bytes = :size_bytes, sha256 = :sha256,
    records = :records, missing = :missing, proof = :proof, unproven = :unproven, error = :error,
    datasets = :datasets, outcome = :outcome,
    dataset_id = coalesce(nullif(:dataset_id, ''), dataset_id),
    store_id = coalesce(nullif(:store_id, ''), store_id)
WHERE job_seq = :seq AND number = :number AND state = 'settled';

-- name: set_datasets
-- Replaces what is known of the other datasets of an attempt.
UPDATE attempts SET datasets = :datasets WHERE job_seq = :seq AND number = :number;

-- name: take_over
-- Makes a process the owner of all open attempts.
UPDATE attempts SET owner = :owner, epoch = epoch + 1
WHERE owner <> :owner AND (job_seq, number) IN (SELECT job_seq, number FROM open_attempts);

-- name: select_open_attempts
-- Lists the open attempts with their jobs.
SELECT jobs.definition, open_attempts.* FROM open_attempts JOIN jobs ON seq = job_seq
ORDER BY job_seq;

-- name: select_attempt
-- Reads an attempt with its job.
SELECT jobs.definition, attempts.* FROM attempts JOIN jobs ON seq = job_seq
WHERE job_seq = :seq AND number = :number;

-- name: select_attempt_place
-- Reads how far a job and an attempt are, and whether the job is open, or was made of an item.
SELECT status, attempts, demand, run_id, state,
    CASE WHEN seq >= (SELECT MIN(first_seq) FROM expansions) THEN 1 ELSE 0 END AS is_made,
    EXISTS (SELECT 1 FROM open_attempts WHERE open_attempts.job_seq = seq) AS is_open
FROM jobs LEFT JOIN attempts ON attempts.job_seq = seq AND number = :number WHERE seq = :seq;

-- name: select_run_object
-- Reads the run of an attempt as the platform sent it.
SELECT run_object FROM attempts WHERE job_seq = :seq AND number = :number;

-- name: select_live_runs
-- Lists the runs that were live when the platform was last asked.
SELECT run_id FROM attempts WHERE state IN ('started', 'adopted');

-- name: select_oldest_runs
-- Lists some of the runs in progress of all processes, the oldest first.
SELECT jobs.key, jobs.demand, one.run_id, one.started_at, one.straggles
FROM open_attempts AS one JOIN jobs ON jobs.seq = one.job_seq
WHERE one.state IN ('started', 'adopted') AND one.started_at IS NOT NULL
ORDER BY one.started_at LIMIT :most;

-- name: select_run
-- Finds whether an attempt has a run.
SELECT 1 FROM attempts WHERE run_id = :run_id AND resurrects IS NULL;

-- name: select_run_targets
-- Lists the runs of all attempts, with the demands that name what they run.
SELECT run_id, demand FROM attempts JOIN jobs ON seq = job_seq WHERE run_id IS NOT NULL;
