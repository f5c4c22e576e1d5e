-- Early versions knew a state between finished and settled: collected, when what the run made was on disk.
-- Such an attempt is collected again and then judged.
UPDATE attempts SET state = 'finished' WHERE state = 'collected';

-- The attempts that are not over.
CREATE VIEW open_attempts AS
SELECT * FROM attempts WHERE state NOT IN ('settled', 'lost', 'failed');

-- The jobs, each with its last attempt.
CREATE VIEW job_reports AS
SELECT jobs.seq, jobs.key, jobs.definition, jobs.status, jobs.error AS job_error,
    attempts.number, attempts.state, attempts.outcome, attempts.reused_from,
    attempts.run_id, attempts.dataset_id, attempts.store_id, attempts.run_status,
    attempts.started_at, attempts.finished_at, attempts.build_number, attempts.cost_usd,
    attempts.items, attempts.size_bytes, attempts.sha256, attempts.records, attempts.missing,
    attempts.proof, attempts.unproven, attempts.datasets
FROM jobs LEFT JOIN attempts ON attempts.job_seq = jobs.seq AND attempts.number = (
    SELECT MAX(number) FROM attempts WHERE job_seq = jobs.seq);
