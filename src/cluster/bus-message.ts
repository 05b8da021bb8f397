import { addressFault } from '../address.ts';
import type { DigestAt } from '../log/entry.ts';
import type { Retention } from '../log/retention.ts';
import { type EphemeralMessage, MESSAGE_COLUMNS } from '../message.ts';
import { isJsonLine, TYPE } from '../message-rules.ts';

/** A node's heartbeat. */
export interface Beat {
  readonly kind: 'beat';
  /** The name of the node, for people. It need not be unique. */
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
  /** The time at which it started, in milliseconds since the Unix epoch. */
  readonly since: number;
  /** Why it is not ready, in words fit for a client; `null` if it is. */
  readonly unready: string | null;
  /** The retention of the cluster, as the node knows it. */
  readonly retention: Retention;
  /** The sequence after which its digest differed from the others', so that it has stopped; `null` if it has not. */
  readonly divergedAt: number | null;
  /** The number of its newest presence message; 0 before the first. */
  readonly presence: number;
}

/** An address, and the number of the node's devices that follow it; 0 if none does any more. */
export type Devices = readonly [address: string, devices: number];

/** Devices of a node: changes, or a part of a full report. */
export interface PresenceMessage {
  readonly kind: 'presence';
  /** Counts the presence messages of a node from 1, so that a receiver notices a lost one. */
  readonly number: number;
  readonly devices: readonly Devices[];
  /** `true` for the first message of a full report, which continues until a message with `ends`. */
  readonly begins?: boolean;
  readonly ends?: boolean;
}

/** A message between nodes. */
export type BusMessage =
  | Beat
  /** Says that the node has ended. */
  | { readonly kind: 'bye' }
  /** Asks a node for all of its devices. */
  | { readonly kind: 'ask'; readonly of: string }
  | PresenceMessage
  /** Carries an ephemeral message. With an `id`, its sender waits for the number of devices that take it. */
  | { readonly kind: 'ephemeral'; readonly id?: number; readonly message: EphemeralMessage }
  /** Tells the node `of` how many devices took its ephemeral message. */
  | { readonly kind: 'taken'; readonly of: string; readonly id: number; readonly devices: number };

/** A received message and its sender. */
export interface ReceivedMessage {
  readonly from: string;
  /** The log of the sender's cluster, in the form that `Bus` uses. */
  readonly log: string;
  readonly message: BusMessage;
}

type Fields = Readonly<Record<string, unknown>>;

const MAX_DIGESTS = 100;

/** The maximum number of addresses in a message. A node sends fewer, since its messages have about 32 Ki characters. */
const MAX_DEVICES = 4096;

/** The maximum number of devices, small enough that an address's total over all nodes is an exact integer. */
const MAX_COUNT = 1_000_000_000;

const MAX_TEXT = 256;

/** Checks of the fields of each kind of message. */
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

/** Encodes a message. The bytes begin with `openingOf(from)`. */
export function encodeBusMessage(from: string, log: string, message: BusMessage): Buffer {
  return Buffer.from(JSON.stringify({ from, log, ...message }));
}

/** Returns the bytes that all messages of a node begin with, so that it can ignore its own without parsing them. */
export function openingOf(from: string): Buffer {
  return Buffer.from(JSON.stringify({ from }).slice(0, -1));
}

/** Decodes a message. Returns `undefined` if the bytes are not a valid one; never throws. */
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

/** The fields that an ephemeral message has. All others must be empty. */
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
