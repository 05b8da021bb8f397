import type { Conversation, RoomState } from '../../log/conversation.ts';
import type { MessageLog } from '../../log/message-log.ts';
import { type Message, messageJson } from '../../message.ts';
import { identityOf } from '../authenticate.ts';
import type { Handler } from '../handler.ts';
import { Page } from '../page.ts';
import { requireAll } from '../../auth/permission.ts';
import { Query } from '../query.ts';
import { BEFORE, integer, oneAddress } from '../parameters.ts';

/** The parameters of `GET /conversations`. */
export const CONVERSATION_PARAMETERS = {
  recipient: oneAddress('The address whose conversations are listed; with a token, by default its `sub`.'),
  peer: oneAddress('Only the conversation with this address. Not with `room`, `limit` or `before`.'),
  room: oneAddress('Only the state of `recipient` in this room. Not with `peer`, `limit` or `before`.'),
  limit: integer({ min: 1, max: 1000 }, 'The maximum number of conversations in a page.', 50),
  before: BEFORE,
};

/** The one conversation that a query asks for. */
interface Wanted {
  readonly with: 'peer' | 'room';
  readonly address: string;
}

/**
 * Serves `GET /conversations?recipient=A[&limit=N][&before=ID]`: the conversations of an address, newest first.
 *
 * Answers `{"conversations": [{"peer", "lastMessage", "unread", "readThrough", "peerReadThrough"}], "cursor", "more"}`,
 * an empty list if the address has none; with a token, no `recipient` means its `sub`. If there is more, the client asks
 * for the next page with the `before` of the answer. A page is also bounded by its bytes and by the time that it takes.
 *
 * With `peer=B`, answers with the one conversation with B, even if it has no messages. With `room=R`, answers with A's
 * state in a room, `{"room", "lastMessage", "unread", "readThrough"}`; the token must allow reading R, too.
 */
export function conversations(log: MessageLog): Handler {
  return (request, response) => {
    const query = new Query(request.url, CONVERSATION_PARAMETERS);
    const { client, read } = identityOf(request);
    const [address = ''] =
      client !== undefined && !query.has('recipient')
        ? [client]
        : query.addresses('recipient', CONVERSATION_PARAMETERS.recipient);
    const wanted = readWanted(query);
    const limit = query.integer('limit', 50, CONVERSATION_PARAMETERS.limit);
    const before = query.before();
    query.check();
    requireAll(read, [address], 'recipient', 'read');
    if (wanted?.with === 'room') requireAll(read, [wanted.address], 'room', 'read');

    const page = new Page(limit);
    if (wanted !== undefined) {
      const { json, head } = stateOf(log, address, wanted);
      page.add(json);
      page.send(response, 'conversations', { cursor: log.cursor(head), more: false });
      return;
    }
    const fits = (conversation: Conversation): boolean => page.add(conversationJson(conversation));
    const list = log.conversations(address, before ?? Infinity, limit, fits);
    const { head, more, before: next } = list;
    page.send(response, 'conversations', { cursor: log.cursor(head), more, before: next });
  };
}

/** Returns the one conversation that a query asks for; `undefined` if it asks for all. */
function readWanted(query: Query): Wanted | undefined {
  const name = (['peer', 'room'] as const).find((one) => query.has(one));
  if (name === undefined) return undefined;
  for (const other of ['room', 'limit', 'before']) {
    if (other !== name && query.has(other))
      query.fault(other, `cannot be given with "${name}", which asks for one conversation`);
  }
  const [address = ''] = query.addresses(name, CONVERSATION_PARAMETERS[name]);
  return { with: name, address };
}

/** Returns the state of one conversation as JSON, and the id up to which the log was read. */
function stateOf(log: MessageLog, address: string, wanted: Wanted): { json: string; head: number } {
  if (wanted.with === 'peer') {
    const { state, head } = log.conversation(address, wanted.address);
    return { json: conversationJson(state), head };
  }
  const { state, head } = log.room(address, wanted.address);
  return { json: roomJson(state), head };
}

function conversationJson({ peer, lastMessage, ...rest }: Conversation): string {
  return stateJson({ peer }, lastMessage, rest);
}

function roomJson({ room, lastMessage, ...rest }: RoomState): string {
  return stateJson({ room }, lastMessage, rest);
}

/** Returns a state's JSON. @param name the field with the peer or room @param rest the fields after the last message */
function stateJson(name: object, lastMessage: Message | null, rest: object): string {
  const last = lastMessage === null ? 'null' : messageJson(lastMessage);
  return `${JSON.stringify(name).slice(0, -1)},"lastMessage":${last},${JSON.stringify(rest).slice(1)}`;
}
