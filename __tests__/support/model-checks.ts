/** Compares what a service shows with what the model says that it must show. Each check throws with what is wrong. */
import { isDeepStrictEqual } from 'node:util';
import type { WireMessage } from './api.ts';
import type { Model, ModelConversation, ModelRoom, Span } from './model.ts';
import type { PulledPage } from './pull.ts';

/** A conversation as clients see it. */
export interface WireConversation {
  readonly peer: string;
  readonly lastMessage: WireMessage;
  readonly unread: number;
  readonly readThrough: number | null;
  readonly peerReadThrough: number | null;
}

/** How one conversation stands, or a room, as clients see it. */
export interface WireState extends Omit<WireConversation, 'peer' | 'lastMessage' | 'peerReadThrough'> {
  readonly peer?: string;
  readonly room?: string;
  readonly lastMessage: WireMessage | null;
  readonly peerReadThrough?: number | null;
}

/** The id in a cursor. */
export function idOf(cursor: string): number {
  const id = /^(\d+)(-[0-9a-z]+)?$/.exec(cursor)?.[1];
  if (id === undefined) throw new Error(`"${cursor}" is no cursor`);
  return Number(id);
}

function fail(what: string, facts: object): never {
  throw new Error(`${what}: ${JSON.stringify(facts)}`);
}

/** A message that is shown must be one that was stored, as it was stored, and not expired. */
function checkShown(model: Model, message: WireMessage, span: Span): void {
  const stored = model.byId(message.id);
  if (!isDeepStrictEqual(message, stored)) fail('a message is not what was stored', { message, stored });
  if (model.sight(message, span) === 'hidden') fail('an expired message is shown', { message, span });
}

/**
 * Checks a list that goes forward: of `candidates` through `through` each one is shown exactly once, in order, unless it
 * has expired, or retention has removed it and the reader is told.
 *
 * @param told whether the reader was told of a gap
 */
export function checkForward(
  model: Model,
  candidates: readonly WireMessage[],
  shown: readonly WireMessage[],
  through: number,
  span: Span,
  told: boolean,
): void {
  let next = 0;
  for (const candidate of candidates) {
    if (shown[next]?.id === candidate.id) {
      checkShown(model, shown[next] as WireMessage, span);
      next++;
      continue;
    }
    if (candidate.id > through) break;
    const sight = model.sight(candidate, span);
    if (sight === 'there' || (sight === 'surplus' && !told)) {
      fail('a message is missing without a word', {
        candidate,
        sight,
        through,
        shown: shown.map(({ id }) => id),
      });
    }
  }
  if (next < shown.length) {
    fail('a message is shown twice, out of order, or to whom it is not for', {
      message: shown[next],
      shown: shown.map(({ id }) => id),
    });
  }
}

/** Checks a page after a cursor. */
export function checkPageAfter(
  model: Model,
  inboxes: readonly string[],
  after: number,
  limit: number,
  page: PulledPage,
  span: Span,
): void {
  const candidates = model.inInboxes(inboxes).filter(({ id }) => id > after);
  const { messages, gap, more } = page;
  const cursor = idOf(page.cursor);
  if (messages.length > limit) fail('a page is longer than its limit', { limit, length: messages.length });
  if (gap !== false && gap !== 'purged') fail('a good cursor is not known', { gap, after });
  if (gap === 'purged' && !candidates.some((message) => model.mayBeGone(message))) {
    fail('a gap is told where nothing can be missing', { inboxes, after });
  }
  if (more && cursor <= after) fail('a page leads nowhere', { after, cursor });
  if (!more && cursor !== model.head)
    fail('the last page does not end at the head', { cursor, head: model.head });
  checkForward(model, candidates, messages, more ? cursor : Infinity, span, gap === 'purged');
}

/** Checks a page before an id: the newest of the candidates, in ascending order. */
export function checkPageBefore(
  model: Model,
  candidates: readonly WireMessage[],
  limit: number,
  { messages, more, cursor }: PulledPage,
  span: Span,
): void {
  if (messages.length > limit) fail('a page is longer than its limit', { limit, length: messages.length });
  if (idOf(cursor) !== model.head)
    fail('a page of history does not name the head', { cursor, head: model.head });
  const newestFirst = messages.toReversed();
  let next = 0;
  for (const candidate of candidates.toReversed()) {
    if (newestFirst[next]?.id === candidate.id) {
      checkShown(model, candidate, span);
      checkShown(model, newestFirst[next] as WireMessage, span);
      next++;
    } else if (next === newestFirst.length && more) {
      break;
    } else if (model.sight(candidate, span) === 'there') {
      fail('a message is missing in a page of history', {
        candidate,
        shown: messages.map(({ id }) => id),
        more,
      });
    }
  }
  if (next < newestFirst.length) {
    fail('a page of history shows what does not belong there', { message: newestFirst[next] });
  }
}

/** Checks all conversations of an address, as they came page by page. */
export function checkConversations(
  model: Model,
  address: string,
  listed: readonly WireConversation[],
  span: Span,
): void {
  const expected = model.conversations(address, span);
  const isSettled = ({ peer }: WireConversation): boolean => expected.get(peer) !== undefined;
  const settled = listed.filter(isSettled);
  const ids = settled.map(({ lastMessage }) => lastMessage.id);
  if (
    new Set(settled.map(({ peer }) => peer)).size < settled.length ||
    ids.some((id, at) => id >= (ids[at - 1] ?? Infinity))
  ) {
    fail('conversations are listed twice or out of order', { ids, peers: settled.map(({ peer }) => peer) });
  }
  for (const one of listed) {
    if (!expected.has(one.peer)) fail('a conversation is listed that does not exist', one);
    checkShown(model, one.lastMessage, span);
  }
  for (const [peer, conversation] of expected) {
    if (conversation === undefined) continue;
    const found = listed.find((one) => one.peer === peer);
    if (found !== undefined) checkConversation(conversation, found);
    else if (conversation.lastMessages.some(({ sight }) => sight === 'there')) {
      fail('a conversation is not listed', { address, peer, listed: listed.map((one) => one.peer) });
    }
  }
}

/** Checks how one pair stands, as it was asked for alone. */
export function checkPair(model: Model, address: string, peer: string, found: WireState, span: Span): void {
  const expected = model.conversation(address, peer, span);
  if (found.peer !== peer) fail('another pair is told', found);
  if (found.lastMessage !== null) checkShown(model, found.lastMessage, span);
  if (expected !== undefined) checkConversation(expected, found);
}

/** Checks how a room stands. */
export function checkRoom(model: Model, reader: string, room: string, found: WireState, span: Span): void {
  const expected = model.room(reader, room, span);
  if (found.room !== room || 'peerReadThrough' in found) fail('another room is told', found);
  if (found.lastMessage !== null) checkShown(model, found.lastMessage, span);
  if (expected !== undefined) checkState(expected, found);
}

function checkConversation(expected: ModelConversation, found: WireState): void {
  checkState(expected, found);
  if (found.peerReadThrough !== expected.peerReadThrough)
    fail('the read marker of the peer is another', { found });
}

function checkState(expected: ModelRoom, found: WireState): void {
  const { lastMessages, unread, readThrough } = expected;
  const last = lastMessages.findIndex(({ message }) => message.id === found.lastMessage?.id);
  const newestThere = lastMessages.findIndex(({ sight }) => sight === 'there');
  const facts = { expected: { ...expected, lastMessages: lastMessages[0]?.message.id }, found };
  const isNone = found.lastMessage === null;
  if (isNone ? newestThere !== -1 : last === -1 || (newestThere !== -1 && last > newestThere)) {
    fail('the last message is another', facts);
  }
  if (found.unread < unread.least || found.unread > unread.most) fail('another number is unread', facts);
  if (found.readThrough !== readThrough) fail('a read marker is another', facts);
}
