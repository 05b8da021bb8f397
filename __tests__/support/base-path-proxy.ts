/** A reverse proxy that puts the service under a base path, with a strict Content-Security-Policy. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

const POLICY = "default-src 'self'";

export interface BasePathProxy {
  /** The URL at which the proxy serves the service, with a slash at its end. */
  readonly url: string;
  close(): void;
}

/**
 * Starts the proxy in front of the service at `origin`. `basePath` begins with a slash, and ends without one.
 */
export function startBasePathProxy(origin: string, basePath: string): Promise<BasePathProxy> {
  return startProxy([[basePath, origin]]);
}

/**
 * Starts a site of several services, by the path of each, the one at the root (``) last. Its URL is that of
 * the root.
 */
export function startSite(services: Readonly<Record<string, string>>): Promise<BasePathProxy> {
  return startProxy(Object.entries(services));
}

async function startProxy(services: readonly (readonly [string, string])[]): Promise<BasePathProxy> {
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '';
    const service = services.find(([prefix]) => path.startsWith(`${prefix}/`));
    if (service === undefined) {
      outgoing.writeHead(404).end();
      return;
    }
    const [basePath, origin] = service;
    const { method, headers } = incoming;
    const onward = request(origin + path.slice(basePath.length), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'Content-Security-Policy': POLICY });
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${services.length === 1 ? services[0]?.[0] : ''}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
