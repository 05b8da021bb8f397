import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import express from 'express';
import type { Browser } from 'playwright-core';
import { publish } from '../support/api.ts';
import { launchBrowser } from '../support/browser.ts';
import { ClientProject, describeWithClientTools, runProgram, toolFile } from '../support/client-package.ts';
import { Firefox, HAS_FIREFOX } from '../support/firefox.ts';
import { cleanUp, Server, undoAtEnd } from '../support/server.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** Follows an inbox here and in a worker, and tries the clients without a URL. */
const PAGE = `
import { connect } from 'tidings-client';
import { connect as connectOwn } from './own/client.js';

const told = (connect) => {
  try {
    connect({ recipient: 'alice' });
    return 'nothing';
  } catch (error) {
    return String(error);
  }
};
const seen = { page: [], worker: [], states: {}, told: [told(connect), told(connectOwn)] };
globalThis.seen = seen;

const query = new URLSearchParams(location.search);
const [url, recipient, token] = ['url', 'recipient', 'token'].map((name) => query.get(name));
connect({
  url,
  recipient,
  token: async () => token,
  onStatus: ({ state }) => (seen.states.page = state),
  onMessage: ({ content }) => seen.page.push(content),
});
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
worker.onmessage = ({ data: { state, content } }) => {
  if (state === undefined) seen.worker.push(content);
  else seen.states.worker = state;
};
worker.onerror = ({ message }) => (seen.states.worker = message);
worker.postMessage({ url, recipient, token });
`;

const WORKER = `
import { connect } from 'tidings-client';
onmessage = ({ data: { url, recipient, token } }) => {
  connect({
    url,
    recipient,
    token: () => token,
    onStatus: ({ state }) => postMessage({ state }),
    onMessage: ({ content }) => postMessage({ content }),
  });
};
`;

const WEBPACK = `
const webpack = require(${JSON.stringify(toolFile('webpack'))});
const output = { path: __dirname + '/webpack', filename: 'page.js' };
webpack({ mode: 'production', context: __dirname, entry: './page.js', output }, (error, stats) => {
  if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
});
`;

/** Arguments of the tools. Each builds the page and its worker into a folder of its name. */
const VITE = ['build', '--outDir', 'vite', '--base', './', '--logLevel', 'warn'];
const ESBUILD = ['page.js', 'worker.js', '--bundle', '--minify', '--format=esm', '--outdir=esbuild'];

interface Seen {
  readonly page: readonly unknown[];
  readonly worker: readonly unknown[];
  readonly states: { readonly page?: string; readonly worker?: string };
  readonly told: readonly string[];
}

const NEEDS_URL =
  'TypeError: connect: "url" must be the URL of the service, such as "https://push.example.org/"';
const HTML = '<!doctype html><title>App</title><script type="module" src="./page.js"></script>';

describeWithClientTools('the package tidings-client, bundled', () => {
  let project: ClientProject;
  let chromium: Browser;
  let site: HttpServer;
  let origin: string;
  let server: Server;

  beforeAll(async () => {
    const files = { 'index.html': HTML, 'page.js': PAGE, 'worker.js': WORKER, 'webpack.cjs': WEBPACK };
    project = await ClientProject.create(files);
    chromium = await launchBrowser();
    project.copyServiceModule('own');
    // As a development server serves an installed module.
    project.copyServiceModule('node_modules/installed');
    site = createServer(express().use(express.static(project.folder))).listen(0, '127.0.0.1');
    await once(site, 'listening');
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    [server] = await Promise.all([
      Server.start({ env: { AUTH_SECRET: SECRET, CORS_ORIGINS: origin } }),
      runProgram(process.execPath, [toolFile('vite/bin/vite.js'), ...VITE], project.folder),
      runProgram(toolFile('esbuild/bin/esbuild'), ESBUILD, project.folder),
      runProgram(process.execPath, ['webpack.cjs'], project.folder),
    ]);
    for (const tool of ['esbuild', 'webpack']) project.write({ [`${tool}/index.html`]: HTML });
  });
  afterAll(async () => {
    await (chromium as Browser | undefined)?.close();
    (site as HttpServer | undefined)?.close();
    (site as HttpServer | undefined)?.closeAllConnections();
    await cleanUp();
  });

  /** Opens the built page, and waits until a message has come to it and to its worker. */
  async function expectDelivery(
    tool: string,
    recipient: string,
    open: (url: string) => Promise<(expression: string) => Promise<string>>,
  ): Promise<void> {
    const token = await tokenFor(recipient, { sendTo: [recipient] });
    const query = new URLSearchParams({ url: server.url, recipient, token });
    const evaluate = await open(`${origin}/${tool}/index.html?${query.toString()}`);
    const look = async (): Promise<Seen> => JSON.parse(await evaluate('JSON.stringify(seen)')) as Seen;
    let seen = await look();
    const holds = (test: () => boolean) => async (): Promise<boolean> => {
      seen = await look();
      return test();
    };
    const isLive = holds(() => seen.states.page === 'live' && seen.states.worker === 'live');
    await until(isLive, 'both to be live').catch((error: unknown) => {
      throw new Error(JSON.stringify(seen), { cause: error });
    });
    expect(
      await publish(server.url, { sender: recipient, recipient, content: 'hi' }, bearer(token)),
    ).toMatchObject({
      status: 201,
    });
    await until(
      holds(() => seen.page.length > 0 && seen.worker.length > 0),
      'the message',
    );
    expect([seen.page, seen.worker]).toEqual([['hi'], ['hi']]);
    for (const told of seen.told) expect(told).toContain(NEEDS_URL);
    expect(seen.told).toHaveLength(2);
  }

  test.each(['vite', 'esbuild', 'webpack'])(
    'the bundled client tells a page and a worker in Chromium of messages, and asks for a missing URL: %s',
    async (tool) => {
      await expectDelivery(tool, `${tool}-chromium`, async (url) => {
        const page = await chromium.newPage();
        await page.goto(url);
        return (expression) => page.evaluate<string>(expression);
      });
    },
  );

  (HAS_FIREFOX ? test : test.skip)('the bundled client works in a page and a worker of Firefox', async () => {
    const firefox = await Firefox.launch();
    undoAtEnd(() => firefox.close());
    await expectDelivery('vite', 'vite-firefox', (url) => firefox.open(url));
  });

  test("the service's own module needs a URL if a development server serves it from node_modules", async () => {
    const page = await chromium.newPage();
    await page.goto(`${origin}/package.json`);
    const told = await page.evaluate<string>(`
      import('/node_modules/installed/client.js')
        .then(({ connect }) => connect({ recipient: 'alice' }))
        .then(() => 'nothing', String)`);
    expect(told).toContain(NEEDS_URL);
  });
});
