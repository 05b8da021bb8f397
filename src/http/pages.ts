import { readdirSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type RequestHandler } from 'express';
import helmet from 'helmet';
import { methodNotAllowed } from './problem.ts';
import { pathOf } from './query.ts';

const PUBLIC = fileURLToPath(new URL('../../public/', import.meta.url));

/** A page is scripts and styles of its own, and talks to this service alone. TLS is the affair of the proxy before it. */
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
const WORKER = join(PUBLIC, 'sw.js');
const WORKER_POLICY =
  "default-src 'none';connect-src 'self';img-src 'self';require-trusted-types-for 'script';trusted-types 'none'";

/**
 * `GET /` and the files of the pages, each at its path under `public`; another method is refused with 405. What is at no
 * such path is left to the next handler.
 */
export function pages(): RequestHandler[] {
  const files = readdirSync(PUBLIC, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = new Set([
    '/',
    ...files.map(({ parentPath, name }) => `/${relative(PUBLIC, join(parentPath, name))}`),
  ]);
  const refuseMethod = methodNotAllowed('GET, HEAD');
  return [
    (request, response, next) => {
      if (request.method === 'GET' || request.method === 'HEAD' || !paths.has(pathOf(request.url))) next();
      else refuseMethod(request, response);
    },
    pageHeaders,
    express.static(PUBLIC, { redirect: false, acceptRanges: false, setHeaders: setFileHeaders }),
  ];
}

/** A file of the page is kept, and asked for again each time: it fits the service that it came with. */
function setFileHeaders(response: ServerResponse, path: string): void {
  response.setHeader('Cache-Control', 'no-cache');
  if (path === WORKER) response.setHeader('Content-Security-Policy', WORKER_POLICY);
}
