-- When the last message of a conversation expires: those whose last message has expired, and is not purged yet, are found
-- by it, since they are shown further down.
ALTER TABLE conversations ADD COLUMN expiresAt INTEGER; -- of the last message, as in messages

UPDATE conversations SET expiresAt = messages.expiresAt FROM messages
WHERE messages.expiresAt IS NOT NULL AND conversations.lastId = messages.id
  AND conversations.address = messages.recipient AND conversations.peer = messages.sender;

UPDATE conversations SET expiresAt = messages.expiresAt FROM messages
WHERE messages.expiresAt IS NOT NULL AND conversations.lastId = messages.id
  AND conversations.address = messages.sender AND conversations.peer = messages.recipient;

CREATE INDEX conversationsByExpiry ON conversations (address, expiresAt) WHERE expiresAt IS NOT NULL;
