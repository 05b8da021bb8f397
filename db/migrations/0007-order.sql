-- Where this database stands in the order of entries. `logId` names the log that it is a replica of. `sequence` is the
-- number of the entry applied last; NULL: the order is local and has no numbers. `logTime` is the time of the newest entry
-- that changed something, and `createdAt` that of the newest message ever, in milliseconds since the Unix epoch.
ALTER TABLE position ADD COLUMN logId TEXT NOT NULL DEFAULT '';
ALTER TABLE position ADD COLUMN sequence INTEGER;
ALTER TABLE position ADD COLUMN logTime INTEGER NOT NULL DEFAULT 0;
ALTER TABLE position ADD COLUMN createdAt INTEGER NOT NULL DEFAULT 0;
UPDATE position SET
  logId = lower(hex(randomblob(8))),
  logTime = ifnull((SELECT createdAt FROM messages ORDER BY id DESC LIMIT 1), 0),
  createdAt = ifnull((SELECT createdAt FROM messages ORDER BY id DESC LIMIT 1), 0);

-- Ids from `firstId` up to that of the next epoch belong to an epoch. A cursor names its epoch, so a log that was restored
-- from an older backup is noticed. Rows outlive purges.
ALTER TABLE runs RENAME TO epochs;
ALTER TABLE epochs RENAME COLUMN tag TO epoch;

-- What all replicas of the log share, as JSON: `retention`.
CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
