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
import { Refusal } from '../../errors.ts';
import { DATA_HEADERS } from '../data-headers.ts';
import type { Handler } from '../handler.ts';
import { methodNotAllowed } from '../problem.ts';
import { pathOf } from '../query.ts';

const PUBLIC = fileURLToPath(new URL('../../../public/', import.meta.url));

/** A page has scripts and styles of its own, and talks to this service alone. A proxy handles TLS. */
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
      // For public/chat/worker.js, which makes the address of the service worker and accepts no other text.
      trustedTypes: ['tidings-worker'],
    },
  },
  strictTransportSecurity: false,
  xFrameOptions: { action: 'deny' },
});

/** The service worker has a policy of its own: it talks to this service alone, and gets its icon there. */
const WORKER = '/sw.js';

const WORKER_POLICY =
  "default-src 'none';connect-src 'self';img-src 'self';require-trusted-types-for 'script';trusted-types 'none'";

/** It is one script, made of these: its policy lets it import none. */
const WORKER_PARTS = ['/worker/notifications.js', '/worker/subscription.js', '/worker/shell.js'];

/** Names the files of the page, for the worker that keeps them. */
const SHELL = '/shell.json';

/** What no page loads: icons are for home screens and notifications. The page itself is listed as `/`. */
const NOT_LOADED = /^\/(index\.html$|icons\/|worker\/)/;

/** The header of the page that names the version of all its files. */
const VERSION_HEADER = 'Tidings-Page';

interface FileType {
  /** For `Content-Type`. */
  readonly type: string;
  /** Text compresses well. */
  readonly isText: boolean;
}

/**
 * The type of a file, by the end of its name. Files of other types are not served: `public` is an npm package too, and
 * has files that only npm and compilers read.
 */
const TYPES: ReadonlyMap<string, FileType> = new Map([
  ['.css', { type: 'text/css; charset=utf-8', isText: true }],
  ['.html', { type: 'text/html; charset=utf-8', isText: true }],
  ['.js', { type: 'text/javascript; charset=utf-8', isText: true }],
  ['.png', { type: 'image/png', isText: false }],
  ['.svg', { type: 'image/svg+xml', isText: true }],
  ['.webmanifest', { type: 'application/manifest+json', isText: true }],
]);

/** Most of the gain of Brotli's best quality, in a tenth of its time. */
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
 * Serves `GET /` and the files of the pages, each at its path under `public`; refuses other methods with 405, and leaves
 * other paths to the next handler.
 *
 * Reads the files once, here, and answers from memory: a request opens no file.
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
    if (fresh(request.headers, { etag, 'last-modified': changed }))
      response.writeHead(304, { ...DATA_HEADERS, ...headers }).end();
    else {
      response.writeHead(200, { ...DATA_HEADERS, ...headers, ...entityHeaders });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    }
  };

  return [checkMethod, pageHeaders, answer];
}

/** A file of the pages as it was read. */
interface Source extends FileType {
  readonly bytes: Buffer;
  /** When it was changed last. */
  readonly changed: Date;
  /** Sent with it. */
  readonly headers?: OutgoingHttpHeaders;
}

/** Reads the files of the pages, by path. */
function readPages(): ReadonlyMap<string, PageFile> {
  const sources = new Map<string, Source>();
  for (const entry of readdirSync(PUBLIC, { recursive: true, withFileTypes: true })) {
    const type = TYPES.get(extname(entry.name));
    if (!entry.isFile() || type === undefined) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(PUBLIC, file).replaceAll(sep, '/')}`;
    sources.set(path, { ...type, bytes: readFileSync(file), changed: statSync(file).mtime });
  }
  const index = sources.get('/index.html');
  if (index !== undefined) sources.set('/', index);
  const shell = listShell(sources);
  for (const [path, source] of sources)
    if (source === index) sources.set(path, { ...source, headers: { [VERSION_HEADER]: shell.version } });
  sources.set(SHELL, shell.source).set(WORKER, joinWorker(sources));
  return new Map([...sources].map(([path, source]) => [path, new PageFile(source)]));
}

/** Joins the parts of the service worker. */
function joinWorker(sources: ReadonlyMap<string, Source>): Source {
  const parts = WORKER_PARTS.flatMap((path) => sources.get(path) ?? []);
  return {
    type: 'text/javascript; charset=utf-8',
    isText: true,
    bytes: Buffer.concat(parts.map(({ bytes }) => bytes)),
    changed: newest(parts),
    headers: { 'Content-Security-Policy': WORKER_POLICY },
  };
}

/**
 * Lists the files of the page: `{version, files}`, with the digest of each file (W3C Subresource Integrity) by its path,
 * relative to the page. The version is another if one of them is.
 */
function listShell(sources: ReadonlyMap<string, Source>): { version: string; source: Source } {
  const files = Object.fromEntries(
    [...sources]
      .filter(([path]) => !NOT_LOADED.test(path))
      .map(([path, { bytes }]) => [
        `.${path}`,
        `sha256-${createHash('sha256').update(bytes).digest('base64')}`,
      ])
      .toSorted(),
  ) as Record<string, string>;
  const version = createHash('sha256').update(JSON.stringify(files)).digest('base64url').slice(0, 22);
  const bytes = Buffer.from(JSON.stringify({ version, files }));
  const changed = newest([...sources.values()]);
  return { version, source: { type: 'application/json', isText: true, bytes, changed } };
}

/** Returns when the last of some files was changed. */
function newest(sources: readonly Source[]): Date {
  return new Date(Math.max(0, ...sources.map(({ changed }) => changed.getTime())));
}

/** Returns a path without its percent-encoding; the path itself if that is malformed. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Returns whether a request is only for another version of the file (RFC 9110 §13.1.1). */
function isAnother({ 'if-match': wanted }: IncomingHttpHeaders, etag: string): boolean {
  if (wanted === undefined || wanted.trim() === '*') return false;
  return !wanted.split(',').some((one) => one.trim() === etag);
}

/** A file of the pages, compressed at the first request for that. */
class PageFile {
  readonly #plain: Variant;
  readonly #isText: boolean;
  readonly #hash: string;
  readonly #compressed = new Map<Coding, Promise<Variant>>();

  constructor({ type, isText, bytes, changed, headers }: Source) {
    this.#isText = isText;
    this.#hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
    this.#plain = {
      bytes,
      headers: {
        // Kept by browsers, but checked each time: the file must fit the service that it came with.
        'Cache-Control': 'no-cache',
        'Last-Modified': changed.toUTCString(),
        ETag: `"${this.#hash}"`,
        ...(isText ? { Vary: 'Origin, Accept-Encoding' } : {}),
        ...headers,
      },
      entityHeaders: { 'Content-Type': type, 'Content-Length': bytes.length },
    };
  }

  /** Returns the file in the coding that a client prefers. */
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
