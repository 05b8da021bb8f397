import type { IncomingMessage } from 'node:http';
import { badFields, Refusal } from '../errors.ts';
import type { Handler, RoutedRequest } from './handler.ts';
import { parsePairs } from './query.ts';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** A form of a publish has seven fields at most. */
const MAX_FORM_PAIRS = 100;

/** Refuses a body of another type before it is read. */
export const checkContentType: Handler = (request, _response, next) => {
  contentTypeOf(request);
  next();
};

/**
 * The value that a body has: what its JSON says, or the fields of its form, with `ttl` and `ephemeral` as what they
 * look like.
 *
 * @throws {Refusal} where the bytes are not UTF-8, not JSON, or a form names a field twice
 */
export function parseBody(request: RoutedRequest): unknown {
  const body: unknown = request.body;
  const type = contentTypeOf(request);
  const text = decodeUtf8(Buffer.isBuffer(body) ? body : Buffer.alloc(0));
  return type === FORM_TYPE ? parseForm(text) : parseJson(text, 'body');
}

function contentTypeOf(request: IncomingMessage): string {
  const header = request.headers['content-type'] ?? '';
  const [type, ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if ((type === JSON_TYPE || type === FORM_TYPE) && isUtf8) return type;
  throw new Refusal(
    'unsupported-media-type',
    `Content-Type must be ${JSON_TYPE} or ${FORM_TYPE}, in UTF-8, not "${header.slice(0, 100)}".`,
  );
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal('malformed', 'The body is not UTF-8.');
  }
}

/** What JSON says. @param what it stands in, for the refusal @throws {Refusal} where it is none */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // V8 quotes a part of the text; only the position helps, and nothing is to be echoed that need not be.
    const at = /position \d+/.exec(String(error))?.[0];
    throw new Refusal('malformed', `The ${what} is not JSON${at === undefined ? '' : `: see ${at}`}.`);
  }
}

function parseForm(text: string): unknown {
  if (text.split('&', MAX_FORM_PAIRS + 1).length > MAX_FORM_PAIRS) {
    throw new Refusal('malformed', `The form has more than ${MAX_FORM_PAIRS} fields.`);
  }
  const fields = new Map<string, unknown>();
  for (const [name, value] of parsePairs(text)) {
    if (fields.has(name)) throw badFields([{ path: `/${name}`, message: 'is given more than once' }]);
    fields.set(name, name === 'ttl' || name === 'ephemeral' ? asWritten(value) : value);
  }
  return Object.fromEntries(fields);
}

/** A number or boolean as a form writes it; anything else stays text, and its rule refuses it. */
function asWritten(value: string): unknown {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  return value === 'true' || value === 'false' ? value === 'true' : value;
}
