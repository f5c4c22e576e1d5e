-- When a batch was made: a process that dies before it has published the batch leaves its rows.
ALTER TABLE all_batches ADD COLUMN made_at timestamptz NOT NULL DEFAULT clock_timestamp();
