/**
 * A model of one log, in memory, by the promises of docs/protocol.md: which messages are stored, which are shown, and
 * which may be missing. It knows nothing of how the service works.
 */
import { isDeepStrictEqual } from 'node:util';
import type { WireMessage } from './api.ts';

/** The time in which a request was served, in milliseconds since the Unix epoch: expiry in between may fall either way. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The request of a publish. */
export interface Draft {
  readonly sender: string;
  readonly recipient: string;
  readonly type?: string;
  readonly content: unknown;
  readonly idempotencyKey?: string;
  readonly ttl?: number;
  readonly background?: boolean;
}

/**
 * Whether a reader sees a message: `there`, certainly; `hidden`, certainly not, since it has expired; `either`, it expires
 * just now; `surplus`, unless retention has removed it by now, which is then a gap.
 */
export type Visibility = 'there' | 'hidden' | 'either' | 'surplus';

/** The required answer to a publish of a draft; `either` if the message of its key expires just now. */
export type Outcome = 'new' | 'conflict' | 'either' | WireMessage;

/** A number that may be less than it seems, if retention has removed something. */
interface Range {
  readonly least: number;
  readonly most: number;
}

/** An address seen from another one. */
export interface ModelConversation {
  readonly peer: string;
  /** Those that may be the last message: the first one certainly, if it is `there`. Newest first. */
  readonly lastMessages: readonly { readonly message: WireMessage; readonly sight: Visibility }[];
  readonly unread: Range;
  readonly readThrough: number | null;
  readonly peerReadThrough: number | null;
}

/** A room seen by one who follows it. */
export type ModelRoom = Omit<ModelConversation, 'peer' | 'peerReadThrough'>;

const MAX_UNREAD = 1000;

export class Model {
  /** All that was ever stored, in order. */
  readonly messages: WireMessage[] = [];
  /** How many messages of a recipient are kept; 0 keeps all. */
  readonly #keep: number;
  readonly #byId = new Map<number, WireMessage>();
  readonly #keys = new Map<string, WireMessage>();
  readonly #markers = new Map<string, WireMessage>();
  /** The place of each message among those of its recipient, from 1 on. */
  readonly #places = new Map<number, number>();
  readonly #received = new Map<string, number>();

  constructor(keep: number) {
    this.#keep = keep;
  }

  get head(): number {
    return this.messages.at(-1)?.id ?? 0;
  }

  /** Takes note of a message that the service has stored as the newest. */
  store(message: WireMessage): void {
    if (message.id <= this.head) throw new Error(`id ${message.id} was given behind ${this.head}`);
    this.messages.push(message);
    this.#byId.set(message.id, message);
    const place = (this.#received.get(message.recipient) ?? 0) + 1;
    this.#received.set(message.recipient, place);
    this.#places.set(message.id, place);
    if (message.idempotencyKey !== undefined) this.#keys.set(keyOf(message), message);
    if (message.type === 'read') this.#markers.set(pairKey(message.sender, message.recipient), message);
  }

  byId(id: number): WireMessage | undefined {
    return this.#byId.get(id);
  }

  /** How far a reader has read; `null` if it never said. */
  readThrough(reader: string, peer: string): number | null {
    const marker = this.#markers.get(pairKey(reader, peer));
    return marker === undefined ? null : markedThrough(marker);
  }

  /** The marker that stands for a reader; `undefined` if there is none. */
  marker(reader: string, peer: string): WireMessage | undefined {
    return this.#markers.get(pairKey(reader, peer));
  }

  /**
   * Finds through which ids a marker that is ahead of the log may be stored: the newest message of its conversation, of the
   * two, or of the room if the peer has sent the reader nothing; 1 if there is none. Several, if some may be gone.
   */
  newestOf(reader: string, peer: string, span: Span): readonly number[] {
    const ofPair = this.between(reader, peer).filter(counts);
    const received = ofPair.filter(({ recipient }) => recipient === reader);
    const isRoom = !received.some((message) => this.sight(message, span) === 'there');
    const all = [...ofPair, ...(isRoom ? this.inInboxes([peer]).filter(counts) : [])];
    const newestFirst = all.sort((one, other) => other.id - one.id);
    const certain = newestFirst.findIndex((message) => this.sight(message, span) === 'there');
    const possible = certain === -1 || isRoom ? newestFirst : newestFirst.slice(0, certain + 1);
    return [...possible.map(({ id }) => id), ...(certain === -1 || isRoom ? [1] : [])];
  }

  sight(message: WireMessage, span: Span): Visibility {
    const expiresAt = message.expiresAt === undefined ? Infinity : Date.parse(message.expiresAt);
    if (expiresAt <= span.from) return 'hidden';
    if (expiresAt <= span.to) return 'either';
    return this.mayBeGone(message) ? 'surplus' : 'there';
  }

  /** Whether retention may have removed a message: its recipient has so many newer ones. */
  mayBeGone(message: WireMessage): boolean {
    if (this.#keep === 0) return false;
    if (this.#markers.get(pairKey(message.sender, message.recipient)) === message) return false;
    const newer = (this.#received.get(message.recipient) ?? 0) - (this.#places.get(message.id) ?? 0);
    return newer >= this.#keep;
  }

  /** Returns the required outcome of a publish, after `earlier` new drafts of its own batch. */
  outcome(draft: Draft, span: Span, earlier: readonly Draft[] = []): Outcome | Draft {
    if (draft.idempotencyKey !== undefined) {
      const sameKey = earlier.find((one) => keyOf(one) === keyOf(draft));
      if (sameKey !== undefined) return sameContent(sameKey, draft) ? sameKey : 'conflict';
      const first = this.#keys.get(keyOf(draft));
      if (first !== undefined) {
        const sight = this.sight(first, span);
        if (sight === 'either' || sight === 'surplus') return 'either';
        if (sight === 'there') return sameContent(first, draft) ? first : 'conflict';
      }
    }
    if (draft.type === 'read') {
      const standing = this.#markers.get(pairKey(draft.sender, draft.recipient));
      if (standing !== undefined && markedThrough(standing) >= markedThrough(draft)) return standing;
    }
    return 'new';
  }

  /** Returns the messages of inboxes, in order. */
  inInboxes(inboxes: readonly string[]): WireMessage[] {
    if (inboxes.includes('*')) return this.messages;
    return this.messages.filter(
      ({ sender, recipient }) => inboxes.includes(sender) || inboxes.includes(recipient),
    );
  }

  /** Returns the messages between two addresses, in order. */
  between(one: string, other: string): WireMessage[] {
    return this.messages.filter(
      ({ sender, recipient }) =>
        (sender === one && recipient === other) || (sender === other && recipient === one),
    );
  }

  /** The conversations of an address; `undefined` for a peer of which a message expires just now. */
  conversations(address: string, span: Span): Map<string, ModelConversation | undefined> {
    const found = new Map<string, ModelConversation | undefined>();
    const peers = new Set(
      this.inInboxes([address]).map(({ sender, recipient }) => (sender === address ? recipient : sender)),
    );
    for (const peer of peers) {
      const own = this.between(address, peer).filter(counts);
      if (own.every((message) => this.sight(message, span) === 'hidden')) continue;
      found.set(peer, this.conversation(address, peer, span));
    }
    return found;
  }

  /** How one pair stands, also without a message; `undefined` if one expires just now. */
  conversation(address: string, peer: string, span: Span): ModelConversation | undefined {
    const own = this.between(address, peer).filter(counts);
    const readThrough = this.readThrough(address, peer);
    const state = this.#state(own, span, readThrough, ({ recipient }) => recipient === address);
    return state && { ...state, peer, peerReadThrough: this.readThrough(peer, address) };
  }

  /** How a room stands; `undefined` if a message of it expires just now. */
  room(reader: string, room: string, span: Span): ModelRoom | undefined {
    const inbox = this.inInboxes([room]).filter(counts);
    const readThrough = this.readThrough(reader, room);
    return this.#state(
      inbox,
      span,
      readThrough,
      ({ sender, recipient }) => recipient === room && sender !== reader,
    );
  }

  /** @param isTheirs which of the messages may be unread */
  #state(
    messages: readonly WireMessage[],
    span: Span,
    readThrough: number | null,
    isTheirs: (message: WireMessage) => boolean,
  ): ModelRoom | undefined {
    const seen = messages
      .map((message) => ({ message, sight: this.sight(message, span) }))
      .filter(({ sight }) => sight !== 'hidden');
    if (seen.some(({ sight }) => sight === 'either')) return undefined;
    const unread = seen.filter(({ message }) => isTheirs(message) && message.id > (readThrough ?? 0));
    const least = unread.filter(({ sight }) => sight === 'there').length;
    return {
      lastMessages: seen.toReversed(),
      unread: { least: Math.min(MAX_UNREAD, least), most: Math.min(MAX_UNREAD, unread.length) },
      readThrough,
    };
  }
}

/** Whether a message counts as unread and makes a conversation. */
function counts({ type, background }: WireMessage): boolean {
  return type !== 'read' && background !== true;
}

/** Whether a message is what a draft asked for. */
export function isOf(message: WireMessage, draft: Draft): boolean {
  const { sender, recipient, type, content, idempotencyKey, createdAt, expiresAt, background } = message;
  const expires = draft.ttl === undefined ? undefined : Date.parse(createdAt) + draft.ttl * 1000;
  return (
    sender === draft.sender &&
    recipient === draft.recipient &&
    type === (draft.type ?? 'message') &&
    isDeepStrictEqual(content, draft.content) &&
    idempotencyKey === draft.idempotencyKey &&
    background === (draft.background === true ? true : undefined) &&
    (expiresAt === undefined ? undefined : Date.parse(expiresAt)) === expires
  );
}

function sameContent(first: Draft | WireMessage, draft: Draft): boolean {
  return (
    (first.type ?? 'message') === (draft.type ?? 'message') && isDeepStrictEqual(first.content, draft.content)
  );
}

function keyOf({ sender, recipient, idempotencyKey }: Draft | WireMessage): string {
  return JSON.stringify([sender, recipient, idempotencyKey]);
}

function pairKey(one: string, other: string): string {
  return JSON.stringify([one, other]);
}

function markedThrough({ content }: Draft | WireMessage): number {
  return (content as { messageId: number }).messageId;
}
