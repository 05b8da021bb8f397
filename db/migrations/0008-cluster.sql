-- What a replica of a cluster knows beside its sequence. `generation` counts the streams that the log has had: sequences
-- begin again in each. `mark` tells the entry applied last from any other, by which a replica notices another stream. `digest` is folded over the outcomes of all entries, so that replicas notice if they differ.
ALTER TABLE position ADD COLUMN generation INTEGER;
ALTER TABLE position ADD COLUMN mark TEXT NOT NULL DEFAULT '';
ALTER TABLE position ADD COLUMN digest TEXT NOT NULL DEFAULT '';

-- The last counter of each proposer. An entry whose counter is not above it came late or twice, and is applied as nothing.
-- `time` is that of the proposer's newest entry, in milliseconds since the Unix epoch.
CREATE TABLE proposers (
  proposer TEXT PRIMARY KEY,
  counter INTEGER NOT NULL,
  time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
