ALTER TABLE batch ADD COLUMN progress TEXT;  -- JSON of model.progress.Progress, by the process that runs the batch; NULL: none runs it
