-- What may be in use at once: the tightest of the batch's own limits, the account's, and that of open files.

ALTER TABLE batch ADD COLUMN max_runs INTEGER;           -- as the last process found it
ALTER TABLE batch ADD COLUMN max_memory_mbytes INTEGER;  -- NULL: no limit, or not known
