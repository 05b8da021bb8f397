/**
 * JSON of clients: I-JSON (RFC 7493), within bounds that are checked before anything is built from it.
 *
 * JSON.parse alone silently keeps the last of two members with the same name. Its cost depends on the content of a
 * text, not on its length: 4 MiB of `[`, or of short names, take a second and half a gigabyte.
 */
import { isUtf8 } from 'node:buffer';
import { badFields, pointerToken, Refusal } from '../errors.ts';
import { jsonFault } from './json-fault.ts';

/** Deeper content overflows the stack of JSON parsers here and in clients (Python's stops near 1000). */
export const MAX_CONTENT_LEVELS = 500;

/** Content is inside a message, a batch, and the envelope of a socket. */
const MAX_LEVELS = MAX_CONTENT_LEVELS + 3;

/**
 * The limit on values and names in one text. Content of 48 KiB has at most 32,768, and in a batch of 1,000 messages there
 * are 50 for each. This many cost at most 40 ms, for short names that all differ: reading, checking and writing together.
 */
export const MAX_PARTS = 50_000;

/** A pointer to a fault ends before a name that would make it longer. It then points to a container of the fault. */
const MAX_POINTER_LENGTH = 512;

/** The limit on reported faults. */
const MAX_FAULTS = 100;

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** The kind of a text, for its refusal. */
export interface JsonForm {
  readonly name: string;
  /** The names that lead to the message or batch in it: pointers in a refusal begin after them. */
  readonly draftAt: readonly string[];
}

/**
 * Parses the JSON of a client.
 *
 * @throws {Refusal} 413 if it has too many values and names; 400 if it is not JSON in UTF-8, is nested too deeply, has a
 *   name twice in an object, a lone surrogate, or a number beyond the range of a double
 */
export function parseJson(bytes: Buffer, { name, draftAt }: JsonForm): unknown {
  const text = decodeUtf8(bytes, name);
  const extent = measure(bytes, name);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Refusal('malformed', `The ${name} is not valid JSON: ${jsonFault(error)}.`);
  }
  if (extent.levels > MAX_CONTENT_LEVELS) {
    const draft = draftAt.reduce((inside, step) => (inside as Record<string, unknown> | null)?.[step], value);
    const around = draftAt.length + (Array.isArray(draft) ? 2 : 1);
    if (extent.levels > MAX_CONTENT_LEVELS + around) throw tooDeep(name);
  }
  const check = new Check();
  check.look(value);
  const faults = check.names < extent.names ? [repeatedName(bytes)] : check.faults;
  if (faults.length > 0) {
    throw badFields(faults.map(({ path, message }) => ({ path: pointerOf(path, draftAt), message })));
  }
  return value;
}

/**
 * Decodes UTF-8; a byte order mark at its beginning is left out (RFC 8259 §8.1).
 *
 * @param name the name of the bytes in the refusal
 * @throws {Refusal} 400 if it is not UTF-8
 */
export function decodeUtf8(bytes: Buffer, name: string): string {
  if (!isUtf8(bytes)) throw new Refusal('malformed', `The ${name} is not valid UTF-8.`);
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', hasMark ? 3 : 0);
}

/** The depth of a JSON text, and the number of its names. */
interface Extent {
  readonly levels: number;
  readonly names: number;
}

/**
 * Measures a JSON text, and stops at the first excess. It builds nothing, so a refusal costs no more than reading so far.
 * Text that is not JSON is measured as if it were.
 */
function measure(bytes: Buffer, name: string): Extent {
  let level = 0;
  let levels = 0;
  let names = 0;
  let values = 1;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        at = endOfString(bytes, at);
        break;
      case COMMA:
        values++;
        break;
      case COLON:
        names++;
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        // The first value in it, which has no comma before it. An empty container counts as if it had one.
        values++;
        level++;
        if (level > levels) levels = level;
        if (levels > MAX_LEVELS) throw tooDeep(name);
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        level--;
        break;
      default:
        continue;
    }
    if (values + names > MAX_PARTS) throw tooMany(name);
  }
  return { levels, names };
}

/** Returns the index of the quote that ends a string; past the end of the text if there is none. */
function endOfString(bytes: Buffer, quote: number): number {
  let at = quote + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

/** A fault of a value, and the names and indexes that lead to it. */
interface Fault {
  readonly message: string;
  readonly path: string[];
}

/**
 * The check of a parsed value. It counts the names that are left, and finds values that JavaScript would alter: a
 * number beyond the range of a double (read as Infinity, written as null), and a lone surrogate (which UTF-8 cannot
 * have). It is recursive: the depth was checked before.
 */
class Check {
  names = 0;
  readonly faults: Fault[] = [];

  look(value: unknown): void {
    if (typeof value === 'string') {
      if (!value.isWellFormed()) this.#add('must be well-formed Unicode: it has a lone surrogate');
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) this.#add('is a number beyond the range of a double; send it as a string');
    } else if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) {
        const before = this.faults.length;
        this.look(value[index]);
        if (this.faults.length > before) this.#lead(before, String(index));
      }
    } else if (typeof value === 'object' && value !== null) {
      this.#lookIntoObject(value as Record<string, unknown>);
    }
  }

  #lookIntoObject(object: Record<string, unknown>): void {
    // Objects from JSON.parse inherit nothing enumerable.
    for (const name in object) {
      this.names++;
      const before = this.faults.length;
      if (!name.isWellFormed()) this.#add('must be well-formed Unicode: its name has a lone surrogate');
      this.look(object[name]);
      if (this.faults.length > before) this.#lead(before, name);
    }
  }

  #add(message: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push({ message, path: [] });
  }

  /** Adds a name or index that leads to the newest faults. */
  #lead(from: number, name: string): void {
    for (const { path } of this.faults.slice(from)) path.unshift(name);
  }
}

/** A list or object on the way to a place in a text: the name or index in it, and the names before that. */
interface Container {
  place: string | number;
  readonly names: Set<string> | undefined;
}

/** Finds the first name that an object has twice. @param bytes JSON in which there is one */
function repeatedName(bytes: Buffer): Fault {
  const way: Container[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    const inside = way.at(-1);
    if (byte === QUOTE) {
      const end = endOfString(bytes, at);
      if (inside?.names !== undefined && bytes[afterSpace(bytes, end + 1)] === COLON) {
        inside.place = JSON.parse(bytes.toString('utf8', at, end + 1)) as string;
        if (inside.names.has(inside.place)) break;
        inside.names.add(inside.place);
      }
      at = end;
    } else if (byte === COMMA) {
      if (typeof inside?.place === 'number') inside.place++;
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      way.push(byte === OPEN_LIST ? { place: 0, names: undefined } : { place: '', names: new Set() });
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      way.pop();
    }
  }
  return {
    path: way.map(({ place }) => String(place)),
    message: 'is given more than once: names in an object must be unique (RFC 7493 §2.3)',
  };
}

/**
 * Finds the text that an object has under a name, without parsing the rest of it.
 *
 * @param bytes the JSON of an object, or anything else, since it has not been checked yet
 * @returns `undefined` if there is no such text, or it has more than `maxBytes`
 */
export function textIn(bytes: Buffer, name: string, maxBytes: number): string | undefined {
  let level = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === OPEN_LIST || byte === OPEN_OBJECT) level++;
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) level--;
    if (byte !== QUOTE) continue;
    const end = endOfString(bytes, at);
    const colon = afterSpace(bytes, end + 1);
    const isMember = level === 1 && bytes[colon] === COLON && bytes.toString('utf8', at + 1, end) === name;
    at = end;
    if (!isMember) continue;
    const value = afterSpace(bytes, colon + 1);
    const last = endOfString(bytes, value);
    return bytes[value] === QUOTE && last - value <= maxBytes ? readText(bytes, value, last) : undefined;
  }
  return undefined;
}

function readText(bytes: Buffer, quote: number, end: number): string | undefined {
  try {
    return JSON.parse(bytes.toString('utf8', quote, end + 1)) as string;
  } catch {
    return undefined;
  }
}

function afterSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === SPACE || bytes[at] === LINE_FEED || bytes[at] === CARRIAGE_RETURN || bytes[at] === TAB)
    at++;
  return at;
}

function pointerOf(path: readonly string[], draftAt: readonly string[]): string {
  const isInDraft = path.length > draftAt.length && draftAt.every((name, index) => path[index] === name);
  let pointer = '';
  for (const name of isInDraft ? path.slice(draftAt.length) : path) {
    const longer = `${pointer}/${pointerToken(name)}`;
    if (longer.length > MAX_POINTER_LENGTH) break;
    pointer = longer;
  }
  return pointer;
}

function tooDeep(name: string): Refusal {
  return new Refusal(
    'malformed',
    `The ${name} is nested too deeply: content may have ${MAX_CONTENT_LEVELS} levels of lists and objects.`,
  );
}

function tooMany(name: string): Refusal {
  return new Refusal(
    'too-large',
    `The ${name} has more than ${MAX_PARTS} values and names: split the batch, or send large data as one string.`,
  );
}
