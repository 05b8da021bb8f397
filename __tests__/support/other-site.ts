/** A site that is not the service: it serves an empty page at every path, and notes the requests. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContext, Page } from 'playwright-core';

export class OtherSite {
  /** The targets of all requests, the oldest first. */
  readonly requests: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(({ url = '' }, response) => {
      this.requests.push(url);
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Other</title><body></body>');
    });
  }

  static async start(): Promise<OtherSite> {
    const site = new OtherSite();
    site.#server.listen(0, '127.0.0.1');
    await once(site.#server, 'listening');
    return site;
  }

  /** Returns its origin, under a name that the browser takes for this machine. */
  origin(name: string): string {
    return `http://${name}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Opens its page in a new tab. */
  async open(context: BrowserContext, name: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(this.origin(name));
    return page;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
