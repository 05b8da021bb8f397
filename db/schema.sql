-- Made by "npm run schema" from db/migrations; not to be edited.

CREATE TABLE conversations (
  address TEXT NOT NULL,
  peer TEXT NOT NULL,
  lastId INTEGER NOT NULL, expiresAt INTEGER,    -- the newest message of type `message`, in either direction
  PRIMARY KEY (address, peer)
) STRICT, WITHOUT ROWID;

CREATE INDEX conversationsByExpiry ON conversations (address, expiresAt) WHERE expiresAt IS NOT NULL;

CREATE INDEX conversationsByLast ON conversations (address, lastId);

CREATE TABLE "epochs" (
  firstId INTEGER PRIMARY KEY,
  epoch TEXT NOT NULL UNIQUE
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
, background INTEGER) STRICT;

CREATE INDEX messagesByExpiry ON messages (expiresAt) WHERE expiresAt IS NOT NULL;

CREATE UNIQUE INDEX messagesByKey ON messages (sender, recipient, idempotencyKey) WHERE idempotencyKey IS NOT NULL;

CREATE INDEX messagesByRecipient ON messages (recipient);

CREATE INDEX messagesBySender ON messages (sender);

CREATE TABLE migrations (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  appliedAt INTEGER
) STRICT;

CREATE TABLE pairMessages (
  recipient TEXT NOT NULL,
  sender TEXT NOT NULL,
  id INTEGER NOT NULL,
  counts INTEGER NOT NULL,    -- 1 where the type is `message`, which makes a conversation and is counted as unread
  expiresAt INTEGER,
  PRIMARY KEY (recipient, sender, counts, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE position (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  head INTEGER NOT NULL,      -- the highest id ever given
  projected INTEGER NOT NULL, -- conversations are up to date through this id
  probe INTEGER NOT NULL      -- changed to see whether the log can be written
, retentionTime INTEGER, logId TEXT NOT NULL DEFAULT '', sequence INTEGER, logTime INTEGER NOT NULL DEFAULT 0, createdAt INTEGER NOT NULL DEFAULT 0, generation INTEGER, mark TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT '') STRICT;

CREATE TABLE proposers (
  proposer TEXT PRIMARY KEY,
  counter INTEGER NOT NULL,
  time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE purged (
  address TEXT PRIMARY KEY,
  through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pushNotices (
  subscription INTEGER NOT NULL,
  peer TEXT NOT NULL,
  messageId INTEGER NOT NULL,
  PRIMARY KEY (subscription, peer)
) STRICT, WITHOUT ROWID;

CREATE INDEX pushNoticesByMessage ON pushNotices (subscription, messageId);

CREATE TABLE pushSubscriptions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: what is under way for one that is gone is not for another
  recipient TEXT NOT NULL,    -- whose messages
  reader TEXT NOT NULL,       -- whose read markers count: the recipient itself, or the member of a room
  endpoint TEXT NOT NULL,
  p256dh TEXT NOT NULL,       -- the device's keys, base64url
  auth TEXT NOT NULL,
  expirationTime INTEGER,     -- milliseconds since the Unix epoch, as createdAt
  createdAt INTEGER NOT NULL,
  since INTEGER NOT NULL,     -- the head when it began
  through INTEGER NOT NULL, client TEXT,   -- all up to this id was handed to the push service, or needs no notification
  UNIQUE (recipient, endpoint)
) STRICT;

CREATE INDEX pushSubscriptionsByClient ON pushSubscriptions (client) WHERE client IS NOT NULL;

CREATE INDEX pushSubscriptionsByEndpoint ON pushSubscriptions (endpoint, reader);

CREATE INDEX pushSubscriptionsByReader ON pushSubscriptions (reader, recipient);

CREATE INDEX pushSubscriptionsByRecipient ON pushSubscriptions (recipient);

CREATE TABLE readMarkers (
  reader TEXT NOT NULL,
  peer TEXT NOT NULL,
  messageId INTEGER NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (reader, peer)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
