/**
 * The site of the applications that run in a page: the pages of `clients`, and the libraries that they use.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { CLIENTS } from './foreign-client.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Returns the file behind a path, and its type. Modules name each other without their extension. */
function fileOf(path: string): { file: string; type: string } {
  if (path.endsWith('.html')) return { file: join(CLIENTS, path), type: 'text/html' };
  return { file: join(ROOT, path.endsWith('.js') ? path : `${path}.js`), type: 'text/javascript' };
}

export class ClientSite {
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const { file, type } = fileOf(new URL(request.url ?? '', 'http://localhost').pathname);
      readFile(file).then(
        (bytes) => response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(bytes),
        () => response.writeHead(404).end(),
      );
    });
  }

  static async start(): Promise<ClientSite> {
    const site = new ClientSite();
    site.#server.listen(0, '127.0.0.1');
    await once(site.#server, 'listening');
    return site;
  }

  /** Returns the page that opens this stream. */
  pageOf(file: string, stream: string): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/${file}?url=${encodeURIComponent(stream)}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
