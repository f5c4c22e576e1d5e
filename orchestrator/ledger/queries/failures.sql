-- name: select_failed
-- Lists the jobs that did not succeed, with the end of the log of their last run, if it was read.
SELECT seq, jobs.key, jobs.demand, jobs.status, jobs.error, jobs.attempts, attempts.run_id,
    attempts.exit_code, log_ends.text AS log_end
FROM jobs
LEFT JOIN attempts ON attempts.job_seq = seq AND attempts.number = jobs.attempts
LEFT JOIN log_ends ON log_ends.job_seq = seq AND log_ends.number = jobs.attempts
WHERE status IN ('FAILED', 'TIMED-OUT', 'ABORTED', 'REJECTED', 'SKIPPED') ORDER BY seq;

-- name: select_failure
-- The same of one job.
SELECT seq, jobs.key, jobs.demand, jobs.status, jobs.error, jobs.attempts, attempts.run_id,
    attempts.exit_code, log_ends.text AS log_end
FROM jobs
LEFT JOIN attempts ON attempts.job_seq = seq AND attempts.number = jobs.attempts
LEFT JOIN log_ends ON log_ends.job_seq = seq AND log_ends.number = jobs.attempts
WHERE jobs.key = :key AND status IN ('FAILED', 'TIMED-OUT', 'ABORTED', 'REJECTED', 'SKIPPED');
