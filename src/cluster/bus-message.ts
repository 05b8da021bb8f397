import { addressFault } from '../address.ts';
import type { DigestAt } from '../log/entry.ts';
import type { Retention } from '../log/retention.ts';
import { type EphemeralMessage, MESSAGE_COLUMNS } from '../message.ts';
import { isJsonLine, TYPE } from '../message-rules.ts';

/** A node's heartbeat. */
export interface Beat {
  readonly kind: 'beat';
  /** For people. Two nodes may have the same one. */
  readonly name: string;
  /** The version of Tidings. */
  readonly version: string;
  /** The newest version of entries that it can apply. */
  readonly entryVersion: number;
  /** The sequence of the newest entry that it has applied. */
  readonly through: number;
  /** Its newest digests. */
  readonly digests: readonly DigestAt[];
  readonly connections: number;
  /** When it started, in milliseconds since the Unix epoch. */
  readonly since: number;
  /** Why it is not ready, in words for a client; `null` if it is. */
  readonly unready: string | null;
  /** The retention of the cluster, as it knows it. */
  readonly retention: Retention;
  /** The sequence after which its digest differed from those of others, so that it has stopped; else `null`. */
  readonly divergedAt: number | null;
  /** The number of its newest message of presence; 0 before the first. */
  readonly presence: number;
}

/** An address, and how many of the node's devices follow it: 0 if none does any more. */
export type Devices = readonly [address: string, devices: number];

/** Devices of a node: those that have changed, or a part of all. */
export interface PresenceMessage {
  readonly kind: 'presence';
  /** 1 for the first of a node, and one more for each: a receiver sees by it that one was lost. */
  readonly number: number;
  readonly devices: readonly Devices[];
  /** `true`: this message and those that follow it, until one that `ends`, have all devices of the node. */
  readonly begins?: boolean;
  readonly ends?: boolean;
}

/** The messages between nodes. */
export type BusMessage =
  | Beat
  /** The node has ended. */
  | { readonly kind: 'bye' }
  /** Asks a node for all of its devices. */
  | { readonly kind: 'ask'; readonly of: string }
  | PresenceMessage
  /** A message that is not stored. With an `id`, its sender waits for how many devices took it. */
  | { readonly kind: 'ephemeral'; readonly id?: number; readonly message: EphemeralMessage }
  /** Answers the node `of`: so many devices took its ephemeral message. */
  | { readonly kind: 'taken'; readonly of: string; readonly id: number; readonly devices: number };

/** A message, and the node that sent it. */
export interface ReceivedMessage {
  readonly from: string;
  /** The log of that node's cluster, as `Bus` names it. */
  readonly log: string;
  readonly message: BusMessage;
}

type Fields = Readonly<Record<string, unknown>>;

const MAX_DIGESTS = 100;

/** The addresses of one message. A node sends fewer: its messages have some 32 Ki characters. */
const MAX_DEVICES = 4096;

/** The devices that are counted: those of an address on all nodes are a whole number without loss. */
const MAX_COUNT = 1_000_000_000;

const MAX_TEXT = 256;

/** Whether the fields of a message are as its kind has them. */
const CHECKS: Readonly<Record<BusMessage['kind'], (fields: Fields) => boolean>> = {
  beat: (beat) =>
    isText(beat['name']) &&
    isText(beat['version']) &&
    [beat['entryVersion'], beat['through'], beat['connections'], beat['presence']].every(isCount) &&
    isTime(beat['since']) &&
    (beat['unready'] === null || isText(beat['unready'])) &&
    isRetention(beat['retention']) &&
    (beat['divergedAt'] === null || isCount(beat['divergedAt'])) &&
    isListOf(beat['digests'], MAX_DIGESTS, isDigest),
  bye: () => true,
  ask: ({ of }) => isText(of),
  presence: ({ number, devices, begins = false, ends = false }) =>
    isCount(number) &&
    isListOf(devices, MAX_DEVICES, isDevices) &&
    typeof begins === 'boolean' &&
    typeof ends === 'boolean',
  ephemeral: ({ id = 0, message }) => isCount(id) && isEphemeral(message),
  taken: ({ of, id, devices }) => isText(of) && isCount(id) && isDeviceCount(devices),
};

/** Returns a message as bytes. They begin with `openingOf(from)`. */
export function encodeBusMessage(from: string, log: string, message: BusMessage): Buffer {
  return Buffer.from(JSON.stringify({ from, log, ...message }));
}

/** Returns the bytes that all messages of a node begin with: its own can be passed over without parsing them. */
export function openingOf(from: string): Buffer {
  return Buffer.from(JSON.stringify({ from }).slice(0, -1));
}

/** Returns the message in bytes; `undefined` if there is none: whatever may stand there, nothing is thrown. */
export function decodeBusMessage(bytes: Uint8Array): ReceivedMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch {
    return undefined;
  }
  if (!isFields(value)) return undefined;
  const { from, log, ...fields } = value;
  const { kind } = fields;
  if (!isText(from) || !isText(log) || typeof kind !== 'string' || !Object.hasOwn(CHECKS, kind)) {
    return undefined;
  }
  if (!CHECKS[kind as BusMessage['kind']](fields)) return undefined;
  return { from, log, message: fields as unknown as BusMessage };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAddress(value: unknown): value is string {
  return addressFault(value) === undefined;
}

function isListOf<T>(value: unknown, max: number, is: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.length <= max && value.every(is);
}

function isDigest(value: unknown): value is DigestAt {
  return isFields(value) && isCount(value['sequence']) && isText(value['digest']);
}

function isDevices(value: unknown): value is Devices {
  return Array.isArray(value) && value.length === 2 && isAddress(value[0]) && isDeviceCount(value[1]);
}

function isDeviceCount(value: unknown): value is number {
  return isCount(value) && value <= MAX_COUNT;
}

/** The fields of an ephemeral message. Others cannot be given to it, and are empty. */
const GIVEN = new Set<string>(['sender', 'recipient', 'type', 'content', 'createdAt']);
const EMPTY = MESSAGE_COLUMNS.filter((name) => name !== 'id' && !GIVEN.has(name));

function isEphemeral(value: unknown): value is EphemeralMessage {
  if (!isFields(value)) return false;
  const { sender, recipient, type, content, createdAt } = value;
  return (
    isAddress(sender) &&
    isAddress(recipient) &&
    TYPE.fault(type) === undefined &&
    typeof content === 'string' &&
    isJsonLine(content) &&
    isTime(createdAt) &&
    EMPTY.every((name) => value[name] === null || value[name] === 0)
  );
}

function isRetention(value: unknown): value is Retention {
  return isFields(value) && isCount(value['days']) && isCount(value['messages']);
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && !Number.isNaN(new Date(value).getTime());
}
