-- The jobs, each with its last attempt and what that attempt did differently.
DROP VIEW job_reports;
CREATE VIEW job_reports AS
SELECT jobs.seq, jobs.key, jobs.definition, jobs.status, jobs.error AS job_error,
    attempts.number, attempts.state, attempts.outcome, attempts.reused_from, attempts.remedy,
    attempts.run_id, attempts.dataset_id, attempts.store_id, attempts.run_status,
    attempts.started_at, attempts.finished_at, attempts.build_number, attempts.cost_usd,
    attempts.items, attempts.size_bytes, attempts.sha256, attempts.records, attempts.missing,
    attempts.proof, attempts.unproven, attempts.datasets
FROM jobs LEFT JOIN attempts ON attempts.job_seq = jobs.seq AND attempts.number = (
    SELECT MAX(number) FROM attempts WHERE job_seq = jobs.seq);
