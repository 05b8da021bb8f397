-- The time that retention went by last, noted every few minutes, in milliseconds since the Unix epoch: a clock that is set
-- forward is doubted after a restart too. NULL until it is noted for the first time.
ALTER TABLE position ADD COLUMN retentionTime INTEGER;
