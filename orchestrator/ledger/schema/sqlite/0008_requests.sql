-- How the requests of all processes were answered.

ALTER TABLE batch ADD COLUMN answers TEXT NOT NULL DEFAULT '{}';  -- JSON: HTTP status -> requests; those without an answer are not in it
