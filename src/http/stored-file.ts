import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import fresh from 'fresh';
import Negotiator from 'negotiator';
import { Refusal } from '../errors.ts';
import { DATA_HEADERS } from './data-headers.ts';

export interface FileType {
  /** For `Content-Type`. */
  readonly type: string;
  /** Whether it is text, which compresses well. */
  readonly isText: boolean;
}

/** This quality has most of the gain of Brotli's best one, in a tenth of its time. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };

const COMPRESSORS = {
  br: (bytes: Buffer): Promise<Buffer> => promisify(brotliCompress)(bytes, BROTLI),
  gzip: (bytes: Buffer): Promise<Buffer> => promisify(gzip)(bytes),
};

type Coding = keyof typeof COMPRESSORS;

const CODINGS = ['br', 'gzip'] as const satisfies readonly Coding[];

/** A file in one coding. */
interface Variant {
  readonly bytes: Buffer;
  /** Sent with 200 and 304. */
  readonly headers: { readonly ETag: string; readonly 'Last-Modified'?: string } & OutgoingHttpHeaders;
  /** Sent with the bytes. */
  readonly entityHeaders: OutgoingHttpHeaders;
}

/** The bytes of a file, and the headers that are sent with them. */
export interface StoredFileSource extends FileType {
  readonly bytes: Buffer;
  /** When it was changed last; `undefined` if it is made at the start. */
  readonly changed?: Date;
  /** Sent with it. */
  readonly headers?: OutgoingHttpHeaders;
}

/** A file in memory, which answers requests. It is compressed at the first request that prefers that. */
export class StoredFile {
  readonly #plain: Variant;
  readonly #isText: boolean;
  readonly #hash: string;
  readonly #compressed = new Map<Coding, Promise<Variant>>();

  constructor({ type, isText, bytes, changed, headers }: StoredFileSource) {
    this.#isText = isText;
    this.#hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
    this.#plain = {
      bytes,
      headers: {
        // Browsers keep the file, but check it each time: it must match the version of the service.
        'Cache-Control': 'no-cache',
        ETag: `"${this.#hash}"`,
        ...(changed === undefined ? {} : { 'Last-Modified': changed.toUTCString() }),
        ...(isText ? { Vary: 'Origin, Accept-Encoding' } : {}),
        ...headers,
      },
      entityHeaders: { 'Content-Type': type, 'Content-Length': bytes.length },
    };
  }

  /** Answers a request: 304 if the client has the file. @throws {Refusal} 412 if the request is only for another version */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { bytes, headers, entityHeaders } = await this.#variantFor(request.headers);
    const { ETag: etag, 'Last-Modified': changed } = headers;
    if (isAnother(request.headers, etag)) {
      throw new Refusal('precondition-failed', 'The file has changed.');
    }
    if (fresh(request.headers, { etag, ...(changed === undefined ? {} : { 'last-modified': changed }) }))
      response.writeHead(304, { ...DATA_HEADERS, ...headers }).end();
    else {
      response.writeHead(200, { ...DATA_HEADERS, ...headers, ...entityHeaders });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    }
  }

  /** Returns the file in the coding that a client prefers. */
  async #variantFor(headers: IncomingHttpHeaders): Promise<Variant> {
    if (!this.#isText) return this.#plain;
    const coding = new Negotiator({ headers }).encoding([...CODINGS, 'identity'], { preferred: CODINGS });
    if (coding !== 'br' && coding !== 'gzip') return this.#plain;
    let compressed = this.#compressed.get(coding);
    if (compressed === undefined) this.#compressed.set(coding, (compressed = this.#compress(coding)));
    return compressed;
  }

  async #compress(coding: Coding): Promise<Variant> {
    const { bytes: plain, headers, entityHeaders } = this.#plain;
    const bytes = await COMPRESSORS[coding](plain);
    if (bytes.length >= plain.length) return this.#plain;
    return {
      bytes,
      // Different bytes need a different strong tag (RFC 9110 §8.8.3.3).
      headers: { ...headers, ETag: `"${this.#hash}-${coding}"` },
      entityHeaders: { ...entityHeaders, 'Content-Encoding': coding, 'Content-Length': bytes.length },
    };
  }
}

/** Returns whether a request is only for another version of the file (RFC 9110 §13.1.1). */
function isAnother({ 'if-match': wanted }: IncomingHttpHeaders, etag: string): boolean {
  if (wanted === undefined || wanted.trim() === '*') return false;
  return !wanted.split(',').some((one) => one.trim() === etag);
}
