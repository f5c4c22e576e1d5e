-- name: insert_batch
INSERT INTO batch (only, id, name, mark, created_at, plan, state, occurrence, platform, account,
    series, triggered_by)
VALUES (1, :id, :name, :mark, :created_at, :plan, 'open', :occurrence, :platform, :account,
    :series, :triggered_by);

-- name: select_batch
SELECT * FROM batch;

-- name: own_batch
UPDATE batch SET owner = :owner;

-- name: open_batch
UPDATE batch SET state = 'open', ended_at = NULL, exit_code = NULL, stop_reason = NULL,
    stop_kind = NULL, completed_at = NULL;

-- name: close_batch
UPDATE batch SET state = :state, ended_at = :ended_at, exit_code = :exit_code,
    stop_reason = :stop_reason, stop_kind = :stop_kind;

-- name: complete_batch
UPDATE batch SET completed_at = :completed_at WHERE state <> 'open';

-- name: set_number
UPDATE batch SET number = :batch_number;

-- name: set_account
UPDATE batch SET platform = :platform, account = :account, series = :series;

-- name: insert_later_resume
INSERT OR IGNORE INTO later_resumes (occurrence, began_at) VALUES (:occurrence, :began_at);

-- name: select_later_resumes
SELECT occurrence FROM later_resumes;

-- name: insert_reused
INSERT INTO attempts (job_seq, number, state, owner, intent_at, run_id, dataset_id, store_id,
    run_status, started_at, finished_at, build_number, items, size_bytes, sha256, records,
    missing, proof, unproven, datasets, reused_from)
VALUES (:seq, 1, 'settled', :owner, :intent_at, :run_id, :dataset_id, :store_id,
    :run_status, :started_at, :finished_at, :build_number, :items, :size_bytes, :sha256, :records, :missing,
    :proof, :unproven, :datasets, :reused_from);

-- name: insert_run
INSERT INTO attempts (job_seq, number, state, adopted, owner, intent_at, run_id, dataset_id, store_id,
    run_status, started_at, build_number, memory_mbytes, timeout_secs)
VALUES (:seq, 1, 'adopted', 1, '', :intent_at, :run_id, :dataset_id, :store_id,
    :run_status, :started_at, :build_number, :memory_mbytes, :timeout_secs);

-- name: select_reusing
SELECT seq FROM jobs WHERE status = 'WAITING' AND attempts = 0
AND json_extract(definition, '$.reuse_secs') IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_seq = seq);

-- name: set_all_costs_at
UPDATE attempts SET cost_at = :cost_at WHERE run_id IS NOT NULL AND reused_from IS NULL
    AND julianday(:cost_at) > julianday(COALESCE(finished_at, ended_at)) + 1;

-- name: set_costs_settle_secs
UPDATE batch SET costs_settle_secs = :secs;

-- name: set_keeps_days
UPDATE batch SET keeps_days = :keeps_days;

-- name: set_waits
UPDATE batch SET waits = :waits;

-- name: add_requests
UPDATE batch SET requests = requests + :requests, retries = retries + :retries;

-- name: insert_job
INSERT INTO jobs (seq, key, definition, demand, priority)
VALUES (:seq, :key, :definition, :demand, :priority);

-- name: select_waiting
SELECT seq, demand, priority, attempts, ready_at, remedy, CASE WHEN ready_at > 0 THEN (
    SELECT MAX(json_extract(value, '$.backoff_secs')) FROM json_each(definition, '$.rules'))
END AS backoff_secs FROM jobs
WHERE status = 'WAITING' AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE job_seq = seq AND state NOT IN ('settled', 'lost', 'failed'))
ORDER BY seq;

-- name: select_open_attempts
SELECT jobs.definition, jobs.demand, attempts.* FROM attempts JOIN jobs ON seq = job_seq
WHERE state NOT IN ('settled', 'lost', 'failed') ORDER BY job_seq;

-- name: select_attempt
SELECT jobs.definition, attempts.* FROM attempts JOIN jobs ON seq = job_seq
WHERE job_seq = :seq AND number = :number;

-- name: select_rendered_late
SELECT definition FROM jobs WHERE (status = 'WAITING' OR :with_settled)
AND json_extract(definition, '$.input.late_paths') IS NOT NULL ORDER BY seq;

-- name: select_definition
SELECT definition, remedy FROM jobs WHERE seq = :seq;

-- name: next_send
SELECT 1 + COALESCE(MAX(send), 0) AS send FROM given_up
WHERE job_seq = :seq AND number = :number;

-- name: insert_attempt
INSERT INTO attempts (job_seq, number, state, owner, intent_at, platform_at, reserved_usd, remedy,
    resurrects, send, mark, caps_itself)
VALUES (:seq, :number, 'intent', :owner, :intent_at, :platform_at, :reserved_usd, :remedy,
    :resurrects, :send, :mark, :caps_itself);

-- name: delete_intent
DELETE FROM attempts WHERE job_seq = :seq AND number = :number AND state = 'intent';

-- name: send_again
UPDATE attempts SET state = 'intent', send = :send, mark = :mark, intent_at = :intent_at,
    platform_at = :platform_at, owner = :owner
WHERE job_seq = :seq AND number = :number AND send = :send - 1
    AND state IN ('intent', 'unconfirmed');

-- name: mark_unconfirmed
UPDATE attempts SET state = 'unconfirmed', error = :error
WHERE job_seq = :seq AND number = :number AND state = 'intent';

-- name: mark_started
UPDATE attempts SET state = :state, adopted = :adopted, run_id = :run_id,
    dataset_id = :dataset_id, store_id = :store_id, run_status = :run_status,
    started_at = :started_at, build_number = :build_number, memory_mbytes = :memory_mbytes,
    timeout_secs = :timeout_secs, error = NULL
WHERE job_seq = :seq AND number = :number AND state IN ('intent', 'unconfirmed');

-- name: mark_seen
UPDATE attempts SET run_status = :run_status, straggles = :straggles
WHERE job_seq = :seq AND number = :number AND state IN ('started', 'adopted');

-- name: mark_finished
UPDATE attempts SET state = 'finished', run_status = :run_status,
    status_message = :status_message, exit_code = :exit_code, started_at = :started_at,
    finished_at = :finished_at, cost_usd = :cost_usd, build_number = :build_number,
    straggles = :straggles, ended_at = :ended_at, cost_at = :ended_at, run_object = :run_object
WHERE job_seq = :seq AND number = :number AND state IN ('started', 'adopted');

-- name: mark_over
UPDATE attempts SET state = :state, outcome = :outcome, error = :error, items = :items, size_bytes = :size_bytes,
    sha256 = :sha256, records = :records, missing = :missing, proof = :proof,
    unproven = :unproven, datasets = :datasets,
    run_object = CASE WHEN :keeps_run_object THEN run_object END
WHERE job_seq = :seq AND number = :number AND state NOT IN ('settled', 'lost', 'failed');

-- name: settle_job
UPDATE jobs SET status = :status, attempts = attempts + 1, ready_at = :ready_at,
    remedy = :remedy, error = :error
WHERE seq = :seq AND status = 'WAITING';

-- name: take_over
UPDATE attempts SET owner = :owner, epoch = epoch + 1
WHERE state NOT IN ('settled', 'lost', 'failed') AND owner <> :owner;

-- name: count_demands
SELECT demand, COUNT(*) AS jobs, MIN(key) AS example FROM jobs WHERE status = 'WAITING'
GROUP BY demand;

-- name: count_jobs
SELECT status, COUNT(*) AS jobs FROM jobs GROUP BY status;

-- name: count_unsettled
SELECT COUNT(*) AS jobs FROM (SELECT 1 FROM jobs WHERE status = 'WAITING' LIMIT 1);

-- name: count_open
SELECT state, COUNT(*) AS attempts FROM attempts
WHERE state NOT IN ('settled', 'lost', 'failed') GROUP BY state;

-- name: sum_attempts
SELECT COUNT(*) FILTER (WHERE reused_from IS NULL) AS attempts,
    COUNT(run_id) FILTER (WHERE reused_from IS NULL) AS runs,
    COUNT(reused_from) AS reused, TOTAL(adopted) AS adopted FROM attempts;

-- name: has_provisional_cost
SELECT EXISTS (SELECT 1 FROM attempts JOIN batch WHERE reused_from IS NULL AND (
    attempts.state NOT IN ('settled', 'lost', 'failed')
    OR run_id IS NOT NULL AND (cost_at IS NULL
        OR COALESCE(finished_at, attempts.ended_at) IS NOT NULL AND julianday(cost_at)
            < julianday(COALESCE(finished_at, attempts.ended_at)) + (costs_settle_secs - 0.001) / 86400)
)) AS has_some;

-- name: sum_collected
SELECT TOTAL(items) AS items, TOTAL(size_bytes) AS size_bytes
FROM attempts JOIN jobs ON job_seq = seq AND number = jobs.attempts;

-- name: count_unproven
SELECT CASE WHEN status = 'WAITING' THEN 'the job is not over'
        WHEN run_id IS NULL OR state <> 'settled' THEN 'there is no run that has ended'
        ELSE COALESCE(unproven, 'collected by an earlier version') END AS reason,
    COUNT(*) AS jobs
FROM jobs LEFT JOIN attempts ON job_seq = seq AND number = jobs.attempts
WHERE proof IS NULL OR status = 'WAITING' GROUP BY reason ORDER BY reason;

-- name: select_uncollected
SELECT COUNT(*) AS runs, MIN(COALESCE(finished_at, started_at)) AS since
FROM attempts JOIN jobs ON seq = job_seq
WHERE run_id IS NOT NULL AND reused_from IS NULL AND (
    state IN ('started', 'adopted', 'finished', 'collected')
    OR (state = 'settled' AND number = jobs.attempts AND sha256 IS NULL
        AND json_extract(definition, '$.collect.items') IS NOT 0));

-- name: select_costs
SELECT cost_usd FROM attempts AS one WHERE cost_usd IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE job_seq = one.job_seq AND resurrects = one.run_id
    AND number > one.number AND cost_usd IS NOT NULL)
UNION ALL SELECT cost_usd FROM orphan_runs WHERE cost_usd IS NOT NULL;

-- name: select_costs_paid_again
SELECT cost_usd FROM attempts AS one
WHERE cost_usd IS NOT NULL AND resurrects IS NULL AND EXISTS (
    SELECT 1 FROM attempts WHERE job_seq = one.job_seq AND number = one.number - 1
    AND outcome = 'REJECTED');

-- name: select_run_costs
SELECT run_id, cost_usd, cost_at, reserved_usd, COALESCE(finished_at, ended_at) AS end_at, demand
FROM attempts JOIN jobs ON seq = job_seq
WHERE reused_from IS NULL AND (run_id IS NOT NULL OR reserved_usd IS NOT NULL)
    AND state IN ('settled', 'lost') ORDER BY job_seq, number;

-- name: select_orphan_costs
SELECT run_id, cost_usd, cost_at, reserved_usd, seen_at AS end_at FROM orphan_runs;

-- name: select_waiting_keys
SELECT seq, key FROM jobs WHERE status = 'WAITING';

-- name: select_dropping_keys
SELECT seq, key FROM jobs WHERE json_extract(definition, '$.expect.max_drop') IS NOT NULL;

-- name: select_items_made
SELECT key, items FROM attempts JOIN jobs ON seq = job_seq AND number = jobs.attempts
WHERE status = 'SUCCEEDED' AND items IS NOT NULL;

-- name: select_takings
SELECT key, demand, (julianday(finished_at) - julianday(started_at)) * 86400 AS secs, cost_usd
FROM attempts JOIN jobs ON seq = job_seq
WHERE run_status = 'SUCCEEDED' AND finished_at IS NOT NULL;

-- name: select_durations
SELECT key, (julianday(finished_at) - julianday(started_at)) * 86400 AS secs
FROM attempts JOIN jobs ON seq = job_seq
WHERE run_status = 'SUCCEEDED' AND finished_at IS NOT NULL;

-- name: select_near_cap
SELECT key, cost_usd, reserved_usd FROM attempts JOIN jobs ON seq = job_seq
WHERE NOT caps_itself AND CAST(cost_usd AS REAL) >= 0.95 * CAST(reserved_usd AS REAL) ORDER BY seq;

-- name: select_stragglers
SELECT DISTINCT key FROM attempts JOIN jobs ON seq = job_seq WHERE straggles ORDER BY seq;

-- name: count_ready
SELECT COUNT(*) AS runs FROM attempts
WHERE state IN ('started', 'adopted') AND run_status = 'READY'
    AND julianday(started_at) < julianday('now', '-1 minute');

-- name: select_waits
SELECT waits FROM batch;

-- name: select_place
SELECT ready_at, remedy, (
    SELECT COUNT(*) FROM jobs AS other WHERE other.status = 'WAITING'
    AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_seq = other.seq
        AND state NOT IN ('settled', 'lost', 'failed'))
    AND (other.priority > jobs.priority
        OR (other.priority = jobs.priority AND other.seq < jobs.seq))) AS ahead
FROM jobs WHERE key = :key;

-- name: select_report
SELECT jobs.seq, jobs.key, jobs.definition, jobs.status, jobs.attempts, jobs.error AS job_error,
    attempts.state, attempts.number, attempts.run_id, attempts.dataset_id, attempts.store_id,
    attempts.run_status, attempts.outcome,
    attempts.items, attempts.size_bytes, attempts.sha256, attempts.records, attempts.missing, attempts.proof, attempts.unproven,
    attempts.datasets,
    attempts.started_at,
    attempts.finished_at, attempts.cost_usd, attempts.build_number, attempts.reused_from
FROM jobs LEFT JOIN attempts ON job_seq = jobs.seq AND number = (
    SELECT MAX(number) FROM attempts WHERE job_seq = jobs.seq)
WHERE jobs.key = :key;

-- name: select_run_object
SELECT run_object FROM attempts WHERE job_seq = :seq AND number = :number;

-- name: select_datasets
SELECT job_seq, number, definition, datasets FROM attempts
JOIN jobs ON job_seq = seq AND number = jobs.attempts
WHERE datasets IS NOT NULL AND status <> 'WAITING' ORDER BY job_seq;

-- name: set_datasets
UPDATE attempts SET datasets = :datasets WHERE job_seq = :seq AND number = :number;

-- name: select_keys
SELECT key FROM jobs ORDER BY seq;

-- name: select_reports
SELECT jobs.seq, jobs.key, jobs.definition, jobs.status, jobs.attempts, jobs.error AS job_error,
    attempts.state, attempts.number, attempts.run_id, attempts.dataset_id, attempts.store_id,
    attempts.run_status, attempts.outcome,
    attempts.items, attempts.size_bytes, attempts.sha256, attempts.records, attempts.missing, attempts.proof, attempts.unproven,
    attempts.datasets,
    attempts.started_at,
    attempts.finished_at, attempts.cost_usd, attempts.build_number, attempts.reused_from
FROM jobs LEFT JOIN attempts ON job_seq = jobs.seq AND number = (
    SELECT MAX(number) FROM attempts WHERE job_seq = jobs.seq)
ORDER BY jobs.seq;

-- name: select_run_targets
SELECT run_id, demand FROM attempts JOIN jobs ON seq = job_seq WHERE run_id IS NOT NULL;

-- name: select_run
SELECT 1 FROM attempts WHERE run_id = :run_id AND resurrects IS NULL;

-- name: select_all_runs
SELECT run_id FROM attempts WHERE run_id IS NOT NULL AND reused_from IS NULL
UNION SELECT run_id FROM orphan_runs;

-- name: select_live_runs
SELECT run_id FROM attempts WHERE state IN ('started', 'adopted');

-- name: set_waiting
UPDATE jobs SET status = 'WAITING', ready_at = 0, remedy = NULL, error = NULL WHERE seq = :seq;

-- name: update_plan
UPDATE batch SET plan = :plan;

-- name: select_last_seq
SELECT COALESCE(MAX(seq), -1) AS seq FROM jobs;

-- name: select_by_key
SELECT seq FROM jobs WHERE key = :key;

-- name: select_definitions
SELECT key, definition FROM jobs;

-- name: update_job
UPDATE jobs SET definition = :definition, demand = :demand, priority = :priority
WHERE seq = :seq AND key = :key AND status = 'WAITING' AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE job_seq = jobs.seq
    AND state NOT IN ('settled', 'lost', 'failed'));

-- name: skip_job
UPDATE jobs SET status = 'SKIPPED', error = :error
WHERE key = :key AND status = 'WAITING' AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE job_seq = jobs.seq
    AND state NOT IN ('settled', 'lost', 'failed'));

-- name: skip_waiting
UPDATE jobs SET status = 'SKIPPED', error = :error WHERE seq = :seq AND status = 'WAITING';

-- name: refuse_waiting
UPDATE jobs SET status = 'FAILED', error = :error WHERE seq = :seq AND status = 'WAITING'
RETURNING key;

-- name: select_needing
SELECT seq, json_extract(definition, '$.needs') AS needs FROM jobs
WHERE status = 'WAITING' AND json_extract(definition, '$.needs') IS NOT NULL;

-- name: select_statuses
SELECT seq, key, status FROM jobs ORDER BY seq;

-- name: select_given_up
SELECT job_seq, number, send, since, mark FROM given_up;

-- name: give_up
INSERT OR IGNORE INTO given_up (job_seq, number, send, since, mark)
VALUES (:seq, :number, :send, :since, :mark);

-- name: put_orphan
INSERT INTO orphan_runs (run_id, mark, seen_at, run_status, cost_usd, cost_at, reserved_usd)
VALUES (:run_id, :mark, :seen_at, :run_status, :cost_usd, :seen_at, (
    SELECT reserved_usd FROM attempts WHERE job_seq = :seq AND reserved_usd IS NOT NULL
    ORDER BY number DESC LIMIT 1))
ON CONFLICT (run_id) DO UPDATE SET run_status = excluded.run_status,
    cost_usd = COALESCE(excluded.cost_usd, cost_usd), cost_at = excluded.cost_at;

-- name: select_orphan_reserve
SELECT reserved_usd FROM orphan_runs WHERE run_id = :run_id;

-- name: select_sent
SELECT job_seq, number, send, mark FROM attempts WHERE reused_from IS NULL
UNION ALL SELECT job_seq, number, send, mark FROM given_up;

-- name: select_attempt_place
SELECT status, attempts, demand, run_id, state, EXISTS (
    SELECT 1 FROM attempts AS other WHERE other.job_seq = seq
    AND other.state NOT IN ('settled', 'lost', 'failed')) AS is_open
FROM jobs LEFT JOIN attempts ON job_seq = seq AND number = :number WHERE seq = :seq;

-- name: insert_adopted
INSERT INTO attempts (job_seq, number, state, adopted, owner, intent_at, platform_at, remedy, send,
    mark, run_id, dataset_id, store_id, run_status, started_at, build_number)
SELECT seq, :number, 'adopted', 1, :owner, :started_at, :started_at, remedy, :send, :mark, :run_id, :dataset_id, :store_id, :run_status, :started_at, :build_number
FROM jobs WHERE seq = :seq;

-- name: select_pool_starts
SELECT demand, intent_at, platform_at FROM attempts JOIN jobs ON seq = job_seq
WHERE reused_from IS NULL AND json_extract(demand, '$.pools') IS NOT NULL
    AND (platform_at IS NULL OR platform_at > :since)
UNION ALL SELECT demand, since, since FROM given_up JOIN jobs ON seq = job_seq
WHERE json_extract(demand, '$.pools') IS NOT NULL AND since > :since;

-- name: began_at
SELECT MIN(COALESCE(platform_at, started_at)) AS began_at FROM attempts
WHERE reused_from IS NULL;

-- name: select_orphans
SELECT run_id, mark, run_status, cost_usd FROM orphan_runs ORDER BY run_id;

-- name: collect_again
UPDATE attempts SET items = :items, size_bytes = :size_bytes, sha256 = :sha256,
    records = :records, missing = :missing, proof = :proof, unproven = :unproven, error = :error,
    datasets = :datasets, outcome = :outcome
WHERE job_seq = :seq AND number = :number AND state = 'settled';

-- name: find_again
UPDATE attempts SET state = 'settled', run_status = :run_status,
    status_message = :status_message, exit_code = :exit_code, finished_at = :finished_at
WHERE job_seq = :seq AND number = :number AND state = 'lost' AND run_id IS NOT NULL;

-- name: reopen_attempt
UPDATE attempts SET state = 'started', run_status = :run_status, outcome = NULL, error = NULL
WHERE job_seq = :seq AND number = :number AND state = 'lost' AND run_id IS NOT NULL;

-- name: reopen_job
UPDATE jobs SET status = 'WAITING', attempts = attempts - 1, ready_at = 0, error = NULL
WHERE seq = :seq AND status <> 'WAITING';

-- name: judge_job
UPDATE jobs SET status = :status, error = :error WHERE seq = :seq AND status <> 'WAITING';

-- name: set_cost
UPDATE attempts SET cost_usd = COALESCE(:cost_usd, cost_usd), cost_at = :cost_at WHERE run_id = :run_id AND job_seq = (
    SELECT job_seq FROM attempts WHERE run_id = :run_id AND resurrects IS NULL);

-- name: set_orphan_cost
UPDATE orphan_runs SET cost_usd = COALESCE(:cost_usd, cost_usd), cost_at = :cost_at WHERE run_id = :run_id;

-- name: judge_batch
UPDATE batch SET exit_code = EXISTS (SELECT 1 FROM jobs WHERE status <> 'SUCCEEDED')
WHERE state = 'ended';
