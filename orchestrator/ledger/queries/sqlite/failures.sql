-- name: insert_log_end
-- Keeps the end of the log of an attempt.
INSERT OR REPLACE INTO log_ends (job_seq, number, text) VALUES (:seq, :number, :text);
