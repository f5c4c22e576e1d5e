-- Whether a job has an open attempt is asked at each claim: by the job, not by the process.
DROP INDEX attempts_open;
CREATE INDEX attempts_open ON all_attempts (batch, job_seq) WHERE state <> 'settled' AND state <> 'lost' AND state <> 'failed';
-- A session that plans its first claim while a table is empty keeps the plan: it must be that of a full one.
ALTER FUNCTION claim_jobs SET enable_seqscan = off;
ALTER FUNCTION claim_jobs SET enable_hashjoin = off;
ALTER FUNCTION claim_jobs SET enable_mergejoin = off;
