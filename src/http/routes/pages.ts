import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RequestHandler } from 'express';
import helmet from 'helmet';
import type { Handler } from '../handler.ts';
import { methodNotAllowed } from '../problem.ts';
import { pathOf } from '../query.ts';
import { PROBLEMS_PATH } from '../problem-kinds.ts';
import { problemsPage } from '../problems-page.ts';
import { type FileType, StoredFile, type StoredFileSource } from '../stored-file.ts';

const PUBLIC = fileURLToPath(new URL('../../../public/', import.meta.url));

/** The headers of pages, which use only their own scripts and styles, and talk only to this service. A proxy handles TLS. */
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

/** The path of the service worker. It has its own policy: it talks only to this service, and gets its icon there. */
const WORKER = '/sw.js';

const WORKER_POLICY =
  "default-src 'none';connect-src 'self';img-src 'self';require-trusted-types-for 'script';trusted-types 'none'";

/** The parts of the service worker. They are joined into one script, because its policy forbids imports. */
const WORKER_PARTS = ['/worker/notifications.js', '/worker/subscription.js', '/worker/shell.js'];

/** The path of the list of the page's files, for the worker that keeps them. */
const SHELL = '/shell.json';

/** Files that the chat page does not load: icons are for home screens and notifications. The page is listed as `/`. */
const NOT_LOADED = /^\/(index\.html$|problems\.css$|icons\/|worker\/)/;

/** The header of the page that names the version of all its files. */
const VERSION_HEADER = 'Tidings-Page';

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

/**
 * Serves `GET /` and the files of the pages, each at its path under `public`; refuses other methods with 405, and leaves
 * other paths to the next handler.
 *
 * Reads the files once, when called, and answers from memory: a request opens no file.
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
    if (file === undefined) next();
    else await file.answer(request, response);
  };

  return [checkMethod, pageHeaders, answer];
}

/** Reads the files of the pages, by path. */
function readPages(): ReadonlyMap<string, StoredFile> {
  const sources = new Map<string, StoredFileSource>();
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
  const problems = { type: 'text/html; charset=utf-8', isText: true, bytes: Buffer.from(problemsPage()) };
  sources.set(PROBLEMS_PATH, problems);
  return new Map([...sources].map(([path, source]) => [path, new StoredFile(source)]));
}

/** Joins the parts of the service worker. */
function joinWorker(sources: ReadonlyMap<string, StoredFileSource>): StoredFileSource {
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
 * relative to the page. The version changes if any of the files does.
 */
function listShell(sources: ReadonlyMap<string, StoredFileSource>): {
  version: string;
  source: StoredFileSource;
} {
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

/** Returns the time of the latest change of some files. */
function newest(sources: readonly StoredFileSource[]): Date {
  return new Date(Math.max(0, ...sources.map(({ changed }) => changed?.getTime() ?? 0)));
}

/** Returns a path without its percent-encoding; the path itself if that is malformed. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
