-- The client that made a subscription, the `sub` of its token: it bounds how many there are of one client. NULL in open
-- mode, and for subscriptions that are older than this column.
ALTER TABLE pushSubscriptions ADD COLUMN client TEXT;
CREATE INDEX pushSubscriptionsByClient ON pushSubscriptions (client) WHERE client IS NOT NULL;

-- The rowid is the hidden last column of an index: those of a recipient are read in pages, the oldest first.
CREATE INDEX pushSubscriptionsByRecipient ON pushSubscriptions (recipient);

-- With the reader, so that one look-up tells whether an address is one of a device's own.
DROP INDEX pushSubscriptionsByEndpoint;
CREATE INDEX pushSubscriptionsByEndpoint ON pushSubscriptions (endpoint, reader);

-- Of one subscription the newest notifications are kept.
CREATE INDEX pushNoticesByMessage ON pushNotices (subscription, messageId);
