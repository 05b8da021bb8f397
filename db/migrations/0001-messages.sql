-- The log. Ids are given by the one writer and never reused: `position.head` remembers the highest one, also when the
-- message that had it is gone.
CREATE TABLE position (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  head INTEGER NOT NULL,      -- the highest id ever given
  projected INTEGER NOT NULL, -- conversations are up to date through this id
  probe INTEGER NOT NULL      -- changed to see whether the log can be written
) STRICT;
INSERT INTO position (only, head, projected, probe) VALUES (1, 0, 0, 0);

-- A row for each start of the server that gave an id. A cursor names its run, so that a log that went back in time is
-- noticed. Rows outlive purges.
CREATE TABLE runs (
  firstId INTEGER PRIMARY KEY,
  tag TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  sender TEXT NOT NULL,
  recipient TEXT NOT NULL,
  type TEXT NOT NULL,
  content TEXT NOT NULL,      -- JSON
  createdAt INTEGER NOT NULL, -- milliseconds since the Unix epoch, as expiresAt
  idempotencyKey TEXT,
  expiresAt INTEGER
) STRICT;
-- The rowid is the hidden last column of an index, so each of these ranges is in id order.
CREATE INDEX messagesByRecipient ON messages (recipient);
CREATE INDEX messagesBySender ON messages (sender);
CREATE UNIQUE INDEX messagesByKey ON messages (sender, recipient, idempotencyKey) WHERE idempotencyKey IS NOT NULL;
CREATE INDEX messagesByExpiry ON messages (expiresAt) WHERE expiresAt IS NOT NULL;

-- How far a reader has read what a peer sent. `id` is the message that said so, which is never purged.
CREATE TABLE readMarkers (
  reader TEXT NOT NULL,
  peer TEXT NOT NULL,
  messageId INTEGER NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (reader, peer)
) STRICT, WITHOUT ROWID;

-- The highest id that retention took from an inbox ('*': from any). A cursor behind it has a gap.
CREATE TABLE purged (
  address TEXT PRIMARY KEY,
  through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A projection of messages through `position.projected`, brought up to date by the writer outside the acknowledged
-- transactions. It has what is asked of a pair of addresses, without a third index in the way of a publish.
CREATE TABLE pairMessages (
  recipient TEXT NOT NULL,
  sender TEXT NOT NULL,
  id INTEGER NOT NULL,
  counts INTEGER NOT NULL,    -- 1 where the type is `message`, which makes a conversation and is counted as unread
  expiresAt INTEGER,
  PRIMARY KEY (recipient, sender, counts, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE conversations (
  address TEXT NOT NULL,
  peer TEXT NOT NULL,
  lastId INTEGER NOT NULL,    -- the newest message of type `message`, in either direction
  PRIMARY KEY (address, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversationsByLast ON conversations (address, lastId);
