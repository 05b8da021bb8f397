/**
 * The set-up that suites with a browser share. Each function is called in a `describe`, makes its hooks there, and returns an
 * object at once: it stands for the one that the hooks make, and may be used in tests and in later hooks only.
 */
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { launchBrowser } from './browser.ts';
import { MeddlingProxy } from './meddling-proxy.ts';
import { cleanUp, Server, type ServerOptions } from './server.ts';

/** Returns an object that passes everything on to the one that `present` gives at that moment. */
function standIn<T extends object>(present: () => T | undefined): T {
  const target = (): T => {
    const found = present();
    if (found === undefined)
      throw new Error('It is made by a hook, so use it in tests and later hooks only.');
    return found;
  };
  return new Proxy({} as T, {
    get: (_, key) => {
      const object = target();
      const value: unknown = Reflect.get(object, key, object);
      return typeof value === 'function' ? (value.bind(object) as unknown) : value;
    },
    set: (_, key, value) => Reflect.set(target(), key, value),
  });
}

/** A browser for all tests of the suite. @param launch starts it */
export function withBrowser(launch: () => Promise<Browser> = launchBrowser): Browser {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser?.close());
  return standIn(() => browser);
}

/** The same, and all pages are closed after each test. */
export function withFreshPages(launch?: () => Promise<Browser>): Browser {
  const browser = withBrowser(launch);
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });
  return browser;
}

/** A browser context of its own for each test. */
export function withContext(browser: Browser): BrowserContext {
  let context: BrowserContext | undefined;
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context?.close());
  return standIn(() => context);
}

/** A service for all tests of the suite. What tests start besides is ended with it. */
export function withServer(options?: ServerOptions): Server {
  let server: Server | undefined;
  beforeAll(async () => {
    server = await Server.start(options);
  });
  afterAll(cleanUp);
  return standIn(() => server);
}

/** A proxy in front of a service, of its own for each test. */
export function withProxy(server: Server): MeddlingProxy {
  let proxy: MeddlingProxy | undefined;
  beforeEach(async () => {
    proxy = await MeddlingProxy.listen(server.port);
  });
  afterEach(() => proxy?.close());
  return standIn(() => proxy);
}
