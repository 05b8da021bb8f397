-- Web Push: who wants to be notified where. An endpoint is a secret of its device.
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
  through INTEGER NOT NULL,   -- all up to this id was handed to the push service, or needs no notification
  UNIQUE (recipient, endpoint)
) STRICT;
CREATE INDEX pushSubscriptionsByEndpoint ON pushSubscriptions (endpoint);
CREATE INDEX pushSubscriptionsByReader ON pushSubscriptions (reader, recipient);

-- Notifications that a device may still show: the newest message of each conversation that was handed over.
CREATE TABLE pushNotices (
  subscription INTEGER NOT NULL,
  peer TEXT NOT NULL,
  messageId INTEGER NOT NULL,
  PRIMARY KEY (subscription, peer)
) STRICT, WITHOUT ROWID;
