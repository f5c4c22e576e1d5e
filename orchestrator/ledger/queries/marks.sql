-- name: give_up
-- Records, once, that a send has no run as far as the platform shows.
INSERT INTO given_up (job_seq, number, send, since, mark)
VALUES (:seq, :number, :send, :since, :mark) ON CONFLICT DO NOTHING;

-- name: select_given_up
-- Lists the sends that were given up.
SELECT job_seq, number, send, since, mark FROM given_up;

-- name: select_sent
-- Lists all sends: those of attempts and those that were given up.
SELECT job_seq, number, send, mark FROM attempts WHERE reused_from IS NULL
UNION ALL SELECT job_seq, number, send, mark FROM given_up;

-- name: select_orphan_reserve
-- Reads what is reserved for an orphan run.
SELECT reserved_usd FROM orphan_runs WHERE run_id = :run_id;

-- name: select_orphans
-- Lists the orphan runs.
SELECT run_id, mark, run_status, cost_usd FROM orphan_runs ORDER BY run_id;
