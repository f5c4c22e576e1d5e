-- name: insert_log_end
-- Keeps the end of the log of an attempt.
INSERT INTO log_ends (job_seq, number, text) VALUES (:seq, :number, :text)
ON CONFLICT (batch, job_seq, number) DO UPDATE SET text = excluded.text;
