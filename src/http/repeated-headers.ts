import type { IncomingMessage } from 'node:http';
import { differentValues, Refusal } from '../errors.ts';

/** The fields used by the service that a request may have only once. The others are lists, in one line or several. */
const SINGULAR = [
  'Access-Control-Request-Method',
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'Last-Event-ID',
  'Origin',
  'Sec-Fetch-Dest',
  'Sec-Fetch-Mode',
  'Sec-Fetch-Site',
];

/**
 * Merges equal fields into one in `request.headers`: node:http joins the values of some with commas, and keeps the
 * first of others. Does nothing if no field is repeated.
 *
 * @throws {Refusal} 400 if they differ, since a proxy may have used a different one than the service would; also if
 *   there are several `Host` (RFC 9112 §3.2)
 */
export function mergeRepeated(request: IncomingMessage): void {
  const { headers, rawHeaders } = request;
  // No name is repeated.
  if (Object.keys(headers).length * 2 === rawHeaders.length) return;
  const given = request.headersDistinct;
  if ((given['host']?.length ?? 0) > 1) {
    throw new Refusal('malformed', 'A request must have one Host header, not several (RFC 9112 §3.2).');
  }
  for (const field of SINGULAR) {
    const name = field.toLowerCase();
    const [first, ...others] = given[name] ?? [];
    if (others.length === 0) continue;
    if (others.some((other) => other !== first)) {
      throw differentValues(field);
    }
    headers[name] = first;
  }
}
