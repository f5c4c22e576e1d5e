"""From a `[[jobs]]` table to jobs."""
