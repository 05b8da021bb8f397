-- The migrations that were applied to this database, so that one that was edited since is noticed. `sha256` is that of the
-- file, with its line ends as LF. `appliedAt` is in milliseconds since the Unix epoch; NULL: before this table was there.
CREATE TABLE migrations (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  appliedAt INTEGER
) STRICT;
