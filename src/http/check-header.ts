import type { IncomingMessage } from 'node:http';
import { Refusal } from '../errors.ts';
import { mergeRepeated } from './repeated-headers.ts';

/** Clients send a dozen header fields. With more than this, the proxy is broken or the client malicious. */
export const MAX_HEADERS = 100;

/** The limit on the bytes of all fields' names and values. The limit of node:http includes the target (server.ts). */
export const MAX_FIELD_BYTES = 16 * 1024;

/**
 * The header that closes the connection. If the end of a request is uncertain, the bytes after it must not be read as
 * another request. After a long header, closing frees its memory.
 */
const CLOSE = { headers: { Connection: 'close' } };

/** Checks that a header is well formed and within its bounds, and merges repeated fields. @throws {Refusal} if it is not */
export function checkHeader(request: IncomingMessage): void {
  const { headers, httpVersion, rawHeaders } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    throw new Refusal(
      'malformed',
      'Send HTTP/1.1 or HTTP/1.0: the request line names another version.',
      CLOSE,
    );
  }
  const coding = headers['transfer-encoding']?.toLowerCase();
  if (coding !== undefined && (httpVersion === '1.0' || !/(^|[,\s])chunked$/.test(coding))) {
    throw new Refusal('malformed', 'The length of the body is not known (RFC 9112 §6.3).', CLOSE);
  }
  if (coding !== undefined && coding !== 'chunked') {
    throw new Refusal('not-implemented', 'The only supported Transfer-Encoding is chunked.', CLOSE);
  }
  if (headers.host === undefined && httpVersion === '1.1') {
    throw new Refusal('malformed', 'An HTTP/1.1 request must have a Host header (RFC 9112 §3.2).');
  }
  if (rawHeaders.length > MAX_HEADERS * 2) {
    throw new Refusal('header-too-large', `The request has more than ${MAX_HEADERS} header fields.`, CLOSE);
  }
  // One character is one byte: node:http reads them as Latin-1.
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  if (bytes > MAX_FIELD_BYTES) {
    throw new Refusal('header-too-large', 'The header fields take more than 16 KiB.', CLOSE);
  }
  mergeRepeated(request);
}
