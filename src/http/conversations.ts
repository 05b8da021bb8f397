import type { MessageLog } from '../log/message-log.ts';
import { messageJson } from '../message.ts';
import { identityOf } from './authenticate.ts';
import type { Handler } from './handler.ts';
import { requireAll } from './permission.ts';
import { Query } from './query.ts';
import { sendJson } from './send-json.ts';

/**
 * `GET /conversations?recipient=A[&limit=N][&before=ID]`: the conversations of an address, newest first.
 *
 * Answers `{"conversations": [{"peer", "lastMessage", "unread", "readThrough", "peerReadThrough"}], "cursor", "more"}`,
 * empty where the address has none; with a token, no `recipient` means its `sub`. The next page is asked with `before`, the id of the last page's last message.
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
    const { conversations: found, head, more } = log.conversations(address, before ?? Infinity, limit);
    const list = found.map(({ peer, lastMessage, unread, readThrough, peerReadThrough }) => {
      const rest = JSON.stringify({ unread, readThrough, peerReadThrough });
      return `{"peer":${JSON.stringify(peer)},"lastMessage":${messageJson(lastMessage)},${rest.slice(1)}`;
    });
    const rest = JSON.stringify({ cursor: log.cursor(head), more });
    sendJson(response, `{"conversations":[${list.join(',')}],${rest.slice(1)}`);
  };
}
