import type { IncomingMessage } from 'node:http';
import { badFields, pointerToken, Refusal } from '../errors.ts';
import type { Check, RoutedRequest } from './handler.ts';
import { parsePairs } from './query.ts';
import { decodeUtf8, type JsonForm, parseJson } from './strict-json.ts';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** The form of a publish has at most eight fields. */
export const MAX_FORM_PAIRS = 100;

/** Fields of forms that are numbers or booleans. */
const WRITTEN_FIELDS: readonly string[] = ['ttl', 'background', 'ephemeral', 'id'];

/** A form is one message: 48 KiB of content, three times that if all of it is percent-encoded, and 8 KiB more. */
export const MAX_FORM_BYTES = 160 * 1024;

const BODY: JsonForm = { name: 'body', draftAt: [] };

const OPEN_OBJECT = 0x7b;

/** A JSON text has no `=` before its first quote. */
const FORM_BEGINNING = /^[\w%+.-]+=/;

/**
 * The beginning of JSON; no field has such a name. curl declares everything it sends with `-d` as a form. A file from
 * Windows may begin with a byte order mark, and the command line there passes on the quotes of `'{…}'`.
 */
const JSON_BEGINNING = /^(\s|\+|'|\xEF\xBB\xBF|%EF%BB%BF|%20|%27|%0[9AD])*([{["]|%7B|%5B|%22)/i;

/** Refuses a request without a body, and a body of another type before it is read. */
export const checkContentType: Check = (request) => {
  const { headers } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (!hasBody && headers['content-type'] === undefined) throw noBody();
  contentTypeOf(request);
};

/**
 * Returns the value of a body: the value of its JSON, or the fields of its form. `ttl`, `id`, `background` and `ephemeral`
 * of a form become numbers and booleans if they look like them.
 *
 * @throws {Refusal} 400 if there is no JSON, if the bytes are not UTF-8 or do not match their Content-Type, or a name is
 *   given twice; 413 if the body has too much in it
 */
export function parseBody(request: RoutedRequest): unknown {
  const bytes = bodyOf(request);
  if (contentTypeOf(request) === FORM_TYPE) return parseForm(bytes);
  if (bytes.length === 0) throw noBody();
  // Nearly all bodies begin like this, and no form does.
  const isObject = bytes[0] === OPEN_OBJECT;
  if (!isObject && FORM_BEGINNING.test(beginningOf(bytes)))
    throw notOfItsType('a form', JSON_TYPE, FORM_TYPE);
  return parseJson(bytes, BODY);
}

/** Returns the bytes of a body that was read; none if there was no body. */
export function bodyOf({ body }: RoutedRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

function contentTypeOf(request: IncomingMessage): string {
  const header = request.headers['content-type'] ?? '';
  const [type, ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  if (type !== JSON_TYPE && type !== FORM_TYPE) {
    const given = type === '' ? 'is missing' : `is "${header.slice(0, 100)}"`;
    const hint = type === 'multipart/form-data' ? ' (curl sends the latter with -d, not with -F)' : '';
    throw new Refusal(
      'unsupported-media-type',
      `The Content-Type ${given}. It must be ${JSON_TYPE} or ${FORM_TYPE}${hint}.`,
    );
  }
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  if (charset === undefined || /^charset="?utf-?8"?$/.test(charset)) return type;
  throw new Refusal(
    'unsupported-media-type',
    `The Content-Type is "${header.slice(0, 100)}", but a body must be UTF-8: send it in UTF-8, without a charset.`,
  );
}

function noBody(): Refusal {
  return new Refusal(
    'malformed',
    `The request has no body. Send JSON with Content-Type: ${JSON_TYPE}, or a form.`,
  );
}

function notOfItsType(found: string, type: string, wanted: string): Refusal {
  return new Refusal(
    'malformed',
    `The body looks like ${found}, but its Content-Type is ${type}: send Content-Type: ${wanted}.`,
  );
}

/** Returns enough of a body to tell a form from JSON. */
function beginningOf(bytes: Buffer): string {
  return bytes.toString('latin1', 0, 64);
}

function parseForm(bytes: Buffer): unknown {
  if (bytes.length > MAX_FORM_BYTES) {
    throw new Refusal(
      'too-large',
      `The form has ${bytes.length} bytes, but may have at most ${MAX_FORM_BYTES}: send JSON instead.`,
    );
  }
  if (JSON_BEGINNING.test(beginningOf(bytes))) throw notOfItsType('JSON', FORM_TYPE, JSON_TYPE);
  const text = decodeUtf8(bytes, 'body');
  if (text.split('&', MAX_FORM_PAIRS + 1).length > MAX_FORM_PAIRS) {
    throw new Refusal('malformed', `The form has more than ${MAX_FORM_PAIRS} fields.`);
  }
  const fields = new Map<string, unknown>();
  for (const [name, value] of parsePairs(text)) {
    if (fields.has(name))
      throw badFields([{ path: `/${pointerToken(name)}`, message: 'is given more than once' }]);
    fields.set(name, WRITTEN_FIELDS.includes(name) ? asWritten(value) : value);
  }
  return Object.fromEntries(fields);
}

/** Reads a number or boolean from the text of a form. Anything else stays text, and the rule of its field refuses it. */
function asWritten(value: string): unknown {
  if (/^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value))) return Number(value);
  return value === 'true' || value === 'false' ? value === 'true' : value;
}
