-- name: select_reports
-- Lists the states of the jobs from one place in the spec to another.
SELECT * FROM job_reports WHERE seq >= :first_seq AND seq < :end_seq ORDER BY seq;

-- name: select_datasets
-- Lists the other datasets of settled jobs.
SELECT job_seq, number, definition, datasets FROM attempts
JOIN jobs ON job_seq = seq AND number = jobs.attempts
WHERE datasets IS NOT NULL AND status <> 'WAITING' ORDER BY job_seq;

-- name: select_items_made
-- Lists how many items the jobs have made that succeeded.
SELECT key, items FROM attempts JOIN jobs ON seq = job_seq AND number = jobs.attempts
WHERE status = 'SUCCEEDED' AND items IS NOT NULL;
