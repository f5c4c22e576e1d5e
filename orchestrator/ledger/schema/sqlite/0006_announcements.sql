-- Which end of the batch was announced: by notifications and by pings of a dead-man's switch.
ALTER TABLE batch ADD COLUMN owes_news INTEGER NOT NULL DEFAULT 0;  -- 1: its end still has to be announced
ALTER TABLE batch ADD COLUMN announced_end TEXT;   -- the end that was announced last: its time and exit code; NULL: none
ALTER TABLE batch ADD COLUMN announced_news TEXT;  -- what that notification said: equal news is not sent again
