import type { Conversation } from '../log/conversations.ts';
import type { MessageLog } from '../log/message-log.ts';
import { messageJson } from '../message.ts';
import { identityOf } from './authenticate.ts';
import type { Handler } from './handler.ts';
import { Page } from './page.ts';
import { requireAll } from './permission.ts';
import { Query } from './query.ts';

/**
 * `GET /conversations?recipient=A[&limit=N][&before=ID]`: the conversations of an address, newest first.
 *
 * Answers `{"conversations": [{"peer", "lastMessage", "unread", "readThrough", "peerReadThrough"}], "cursor", "more"}`,
 * empty if the address has none; with a token, no `recipient` means its `sub`. If there is more, the next page is asked
 * with `before` of the answer. A page is also bounded by its bytes and by the time that it takes.
 */
export function conversations(log: MessageLog): Handler {
  return (request, response) => {
    const query = new Query(request.url, ['recipient', 'limit', 'before']);
    const { client, read } = identityOf(request);
    const [address = ''] =
      client !== undefined && !query.has('recipient')
        ? [client]
        : query.addresses('recipient', { least: 1, most: 1 });
    const limit = query.integer('limit', 50, { least: 1, most: 1000 });
    const before = query.before();
    query.check();
    requireAll(read, [address], 'recipient', 'read');
    const page = new Page(limit);
    const fits = (conversation: Conversation): boolean => page.add(conversationJson(conversation));
    const list = log.conversations(address, before ?? Infinity, limit, fits);
    const { head, more, before: next } = list;
    page.send(response, 'conversations', { cursor: log.cursor(head), more, before: next });
  };
}

function conversationJson(conversation: Conversation): string {
  const { peer, lastMessage, unread, readThrough, peerReadThrough } = conversation;
  const rest = JSON.stringify({ unread, readThrough, peerReadThrough });
  return `{"peer":${JSON.stringify(peer)},"lastMessage":${messageJson(lastMessage)},${rest.slice(1)}`;
}
