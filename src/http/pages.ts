import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { RequestHandler } from 'express';
import fresh from 'fresh';
import helmet from 'helmet';
import Negotiator from 'negotiator';
import { Refusal } from '../errors.ts';
import type { Handler } from './handler.ts';
import { methodNotAllowed } from './problem.ts';
import { pathOf } from './query.ts';

const PUBLIC = fileURLToPath(new URL('../../public/', import.meta.url));

/** A page is scripts and styles of its own, and talks to this service alone. A proxy handles TLS. */
const pageHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      manifestSrc: ["'self'"],
      workerSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      // Of public/chat/worker.js, which makes the address of the service worker: it takes no other text.
      trustedTypes: ['tidings-worker'],
    },
  },
  strictTransportSecurity: false,
  xFrameOptions: { action: 'deny' },
});

/** The service worker has a policy of its own: it talks to this service alone, which has its icon. */
const WORKER = '/sw.js';
const WORKER_POLICY =
  "default-src 'none';connect-src 'self';img-src 'self';require-trusted-types-for 'script';trusted-types 'none'";

/** What a file is, by the end of its name, and whether it is text, which gets smaller. */
const TYPES: ReadonlyMap<string, { readonly type: string; readonly isText: boolean }> = new Map([
  ['.css', { type: 'text/css; charset=utf-8', isText: true }],
  ['.html', { type: 'text/html; charset=utf-8', isText: true }],
  ['.js', { type: 'text/javascript; charset=utf-8', isText: true }],
  ['.png', { type: 'image/png', isText: false }],
  ['.svg', { type: 'image/svg+xml', isText: true }],
  ['.webmanifest', { type: 'application/manifest+json', isText: true }],
]);

/** Most of what the best quality of Brotli gains, in a tenth of its time. */
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
  readonly headers: { readonly ETag: string; readonly 'Last-Modified': string } & OutgoingHttpHeaders;
  /** Sent with the bytes. */
  readonly entityHeaders: OutgoingHttpHeaders;
}

/**
 * `GET /` and the files of the pages, each at its path under `public`; another method is refused with 405. What is at no
 * such path is left to the next handler.
 *
 * The files are read here, once, and answered from memory: a request opens none.
 */
export function pages(): (RequestHandler | Handler)[] {
  const files = readPages();
  const refuseMethod = methodNotAllowed('GET, HEAD');

  const checkMethod: Handler = (request, response, next) => {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (isRead || !files.has(pathOf(request.url))) next();
    else refuseMethod(request, response);
  };

  const answer: Handler = async (request, response, next) => {
    const file = files.get(decoded(pathOf(request.url)));
    if (file === undefined) {
      next();
      return;
    }
    const { bytes, headers, entityHeaders } = await file.variantFor(request.headers);
    const { ETag: etag, 'Last-Modified': changed } = headers;
    if (isAnother(request.headers, etag)) {
      throw new Refusal('precondition-failed', 'The file is another by now.');
    }
    if (fresh(request.headers, { etag, 'last-modified': changed })) response.writeHead(304, headers).end();
    else {
      response.writeHead(200, { ...headers, ...entityHeaders });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    }
  };

  return [checkMethod, pageHeaders, answer];
}

/** The files of the pages, by path. @throws {Error} if the type of one is not known */
function readPages(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const entry of readdirSync(PUBLIC, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(PUBLIC, file).replaceAll(sep, '/')}`;
    files.set(path, new PageFile(path, readFileSync(file), statSync(file).mtime));
  }
  const index = files.get('/index.html');
  if (index !== undefined) files.set('/', index);
  return files;
}

/** A path without its percent-encoding; as it is if that is malformed. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Whether a request is only for another state of the file (RFC 9110 §13.1.1). */
function isAnother({ 'if-match': wanted }: IncomingHttpHeaders, etag: string): boolean {
  if (wanted === undefined || wanted.trim() === '*') return false;
  return !wanted.split(',').some((one) => one.trim() === etag);
}

/** A file of the pages, compressed when it is first asked for so. */
class PageFile {
  readonly #plain: Variant;
  readonly #isText: boolean;
  readonly #hash: string;
  readonly #compressed = new Map<Coding, Promise<Variant>>();

  constructor(path: string, bytes: Buffer, changed: Date) {
    const known = TYPES.get(extname(path));
    if (known === undefined)
      throw new Error(`public${path} is of a type that src/http/pages.ts does not know`);
    this.#isText = known.isText;
    this.#hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
    this.#plain = {
      bytes,
      headers: {
        // Kept by the browser, and asked for again each time: it fits the service that it came with.
        'Cache-Control': 'no-cache',
        'Last-Modified': changed.toUTCString(),
        ETag: `"${this.#hash}"`,
        ...(known.isText ? { Vary: 'Origin, Accept-Encoding' } : {}),
        ...(path === WORKER ? { 'Content-Security-Policy': WORKER_POLICY } : {}),
      },
      entityHeaders: { 'Content-Type': known.type, 'Content-Length': bytes.length },
    };
  }

  /** The file in the coding that a client likes best. */
  async variantFor(headers: IncomingHttpHeaders): Promise<Variant> {
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
      // Other bytes, so another strong tag (RFC 9110 §8.8.3.3).
      headers: { ...headers, ETag: `"${this.#hash}-${coding}"` },
      entityHeaders: { ...entityHeaders, 'Content-Encoding': coding, 'Content-Length': bytes.length },
    };
  }
}
