-- 1: the message is in streams and history, and that is all; 0: it counts as unread, makes a conversation and notifies,
-- unless it is a read marker. NULL in what was stored before there was this column: of that only the type `message`
-- counts, as it did. So no row has to be rewritten: `counts` of pairMessages and `lastId` of conversations, which follow
-- the same rule, are right as they are.
ALTER TABLE messages ADD COLUMN background INTEGER;
