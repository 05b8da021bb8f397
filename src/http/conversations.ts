import type { Conversation, RoomState } from '../log/conversation.ts';
import type { MessageLog } from '../log/message-log.ts';
import { type Message, messageJson } from '../message.ts';
import { identityOf } from './authenticate.ts';
import type { Handler } from './handler.ts';
import { Page } from './page.ts';
import { requireAll } from './permission.ts';
import { Query } from './query.ts';

/** The one conversation that is asked for. */
interface Wanted {
  readonly with: 'peer' | 'room';
  readonly address: string;
}

/**
 * `GET /conversations?recipient=A[&limit=N][&before=ID]`: the conversations of an address, newest first.
 *
 * Answers `{"conversations": [{"peer", "lastMessage", "unread", "readThrough", "peerReadThrough"}], "cursor", "more"}`,
 * empty if the address has none; with a token, no `recipient` means its `sub`. If there is more, the next page is asked
 * with `before` of the answer. A page is also bounded by its bytes and by the time that it takes.
 *
 * With `peer=B` it is the one with B, also if there is no message of it. With `room=R` it is how A stands in a room,
 * `{"room", "lastMessage", "unread", "readThrough"}`, for which R must be readable too.
 */
export function conversations(log: MessageLog): Handler {
  return (request, response) => {
    const query = new Query(request.url, ['recipient', 'peer', 'room', 'limit', 'before']);
    const { client, read } = identityOf(request);
    const [address = ''] =
      client !== undefined && !query.has('recipient')
        ? [client]
        : query.addresses('recipient', { least: 1, most: 1 });
    const wanted = readWanted(query);
    const limit = query.integer('limit', 50, { least: 1, most: 1000 });
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

/** Reads which one conversation is asked for; `undefined` if all are. */
function readWanted(query: Query): Wanted | undefined {
  const name = (['peer', 'room'] as const).find((one) => query.has(one));
  if (name === undefined) return undefined;
  for (const other of ['room', 'limit', 'before']) {
    if (other !== name && query.has(other))
      query.fault(other, `cannot be given with "${name}", which asks for one conversation`);
  }
  const [address = ''] = query.addresses(name, { least: 1, most: 1 });
  return { with: name, address };
}

/** How one conversation stands, as JSON, and through which id the log was read. */
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

/** @param name whose conversation it is @param rest what stands behind its last message */
function stateJson(name: object, lastMessage: Message | null, rest: object): string {
  const last = lastMessage === null ? 'null' : messageJson(lastMessage);
  return `${JSON.stringify(name).slice(0, -1)},"lastMessage":${last},${JSON.stringify(rest).slice(1)}`;
}
