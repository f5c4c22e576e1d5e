-- name: select_expansion
-- Finds whether a sweep has taken the items of a job.
SELECT 1 FROM expansions WHERE sweep = :sweep AND source = :source;

-- name: insert_expansion
-- Records, with the jobs that were made, that a sweep has taken the items of a job.
INSERT INTO expansions (sweep, source, first_seq, jobs, left_out, problem)
VALUES (:sweep, :source, :first_seq, :jobs, :left_out, :problem);

-- name: select_expansions
-- Lists which sweeps have taken the items of which jobs.
SELECT sweep, source, first_seq, jobs, left_out, problem FROM expansions ORDER BY first_seq;

-- name: select_new_expansions
-- Lists the expansions whose jobs have this place or a later one.
SELECT sweep, source, first_seq, jobs, left_out, problem FROM expansions
WHERE first_seq >= :first_seq ORDER BY first_seq;

-- name: begin_group
-- Begins to write a group of jobs.
SAVEPOINT jobs_of_items;

-- name: undo_group
-- Undoes what was written of the group.
ROLLBACK TO SAVEPOINT jobs_of_items;

-- name: end_group
-- Keeps the group.
RELEASE SAVEPOINT jobs_of_items;

-- name: insert_added_job
-- Writes a job that was made of items, unless another job has its key.
INSERT INTO jobs (seq, key, definition, demand, priority)
VALUES (:seq, :key, :definition, :demand, :priority) ON CONFLICT DO NOTHING;

-- name: select_job_count
-- Counts the jobs of the batch.
SELECT COUNT(*) AS jobs FROM jobs;

-- name: sum_expansions
-- Counts what each sweep has made of the items of other jobs.
SELECT sweep, COUNT(*) AS sources, CAST(SUM(jobs) AS INTEGER) AS jobs,
    CAST(SUM(left_out) AS INTEGER) AS left_out, MIN(problem) AS problem
FROM expansions GROUP BY sweep ORDER BY MIN(first_seq);

-- name: select_unsuccessful_keys
-- Lists the keys of the jobs that are settled and did not succeed.
SELECT key FROM jobs WHERE status <> 'WAITING' AND status <> 'SUCCEEDED';
