import type { IncomingMessage } from 'node:http';
import { badFields, pointerToken, Refusal } from '../errors.ts';
import type { Handler, RoutedRequest } from './handler.ts';
import { parsePairs } from './query.ts';
import { decodeUtf8, type JsonForm, parseJson } from './strict-json.ts';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** A form of a publish has seven fields at most. */
const MAX_FORM_PAIRS = 100;

/** A form is one message: 48 KiB of content take three times that if each byte is percent-encoded, the rest 8 KiB. */
const MAX_FORM_BYTES = 160 * 1024;

const BODY: JsonForm = { name: 'body', draftAt: [] };

/** Refuses a body of another type before it is read. */
export const checkContentType: Handler = (request, _response, next) => {
  contentTypeOf(request);
  next();
};

/**
 * Returns the value that a body has: that of its JSON, or the fields of its form, with `ttl` and `ephemeral` as the
 * number and boolean that they look like.
 *
 * @throws {Refusal} 400 if the bytes are not UTF-8 or not JSON, or a name is given twice; 413 if there is too much in it
 */
export function parseBody(request: RoutedRequest): unknown {
  const bytes = bodyOf(request);
  return contentTypeOf(request) === FORM_TYPE ? parseForm(bytes) : parseJson(bytes, BODY);
}

/** The bytes of a body that was read; none if there was no body. */
export function bodyOf({ body }: RoutedRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
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

function parseForm(bytes: Buffer): unknown {
  if (bytes.length > MAX_FORM_BYTES) {
    throw new Refusal(
      'too-large',
      `The form is ${bytes.length} bytes; at most ${MAX_FORM_BYTES} are taken. Send JSON.`,
    );
  }
  const text = decodeUtf8(bytes, 'body');
  if (text.split('&', MAX_FORM_PAIRS + 1).length > MAX_FORM_PAIRS) {
    throw new Refusal('malformed', `The form has more than ${MAX_FORM_PAIRS} fields.`);
  }
  const fields = new Map<string, unknown>();
  for (const [name, value] of parsePairs(text)) {
    if (fields.has(name))
      throw badFields([{ path: `/${pointerToken(name)}`, message: 'is given more than once' }]);
    fields.set(name, name === 'ttl' || name === 'ephemeral' ? asWritten(value) : value);
  }
  return Object.fromEntries(fields);
}

/** A number or boolean as a form writes it; anything else stays text, and its rule refuses it. */
function asWritten(value: string): unknown {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  return value === 'true' || value === 'false' ? value === 'true' : value;
}
