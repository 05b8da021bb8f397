import { gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  ClientProject,
  describeWithClientTools,
  nodeProgram,
  NODES,
  runProgram,
  toolFile,
} from '../support/client-package.ts';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, tokenFor } from '../support/tokens.ts';

const ROOT = join(import.meta.dirname, '../..');
const MAX_BYTES = 10_800;

/** Notes each look at what a place has, or has not, while the package is imported. */
const IMPORT = `
const seen = [];
const globals = 'document localStorage sessionStorage indexedDB navigator location window self crypto fetch EventSource ' +
  'BroadcastChannel Worker addEventListener setTimeout setInterval setImmediate queueMicrotask';
for (const name of globals.split(' ')) {
  const value = globalThis[name];
  Object.defineProperty(globalThis, name, { configurable: true, get: () => (seen.push(name), value) });
}
const names = Object.keys(await import('tidings-client'));
console.log(JSON.stringify({ seen, names }));
`;

/** Sends to itself, is told, looks back, and ends by itself: nothing is left that keeps the process. */
const PROGRAM = `
import { connect } from 'tidings-client';
const [url, token] = process.argv.slice(2);
let sign;
const live = new Promise((resolve) => (sign = resolve));
const inbox = connect({
  url,
  recipient: 'alice',
  token: async () => token,
  onStatus: ({ state }) => state === 'live' && sign(),
});
const messages = inbox.messages();
await live;
await inbox.send({ recipient: 'alice', content: 'first' });
await inbox.send({ recipient: 'alice', content: 'second' });
const told = [];
for await (const { content } of messages) {
  told.push(content);
  if (content === 'second') break;
}
const history = (await inbox.history()).messages.map(({ content }) => content);
const { state, transport, persistent } = inbox.status;
console.log(JSON.stringify({ told, history, state, transport, persistent }));
await inbox[Symbol.asyncDispose]();
`;

const NO_URL = `
import { connect } from MODULE;
try {
  connect({ recipient: 'alice' });
} catch (error) {
  console.log(String(error));
}
`;
const TOLD = 'TypeError: connect: "url" must be the URL of the service, such as "https://push.example.org/"';

test('the package tidings-client has the version of the service', () => {
  const versionOf = (path: string): unknown =>
    (JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as { version: unknown }).version;
  expect(versionOf('public/package.json')).toBe(versionOf('package.json'));
});

describeWithClientTools('the package tidings-client', () => {
  let project: ClientProject;
  beforeAll(async () => {
    project = await ClientProject.create({
      'import.mjs': IMPORT,
      'program.mjs': PROGRAM,
      'no-url.mjs': NO_URL.replace('MODULE', "'tidings-client'"),
      'own.mjs': NO_URL.replace('MODULE', "'./own/client.js'"),
      'unused.mjs': `import { connect, Problem } from 'tidings-client';`,
      'all.mjs': `export * from 'tidings-client';`,
    });
    project.copyServiceModule('own');
  });
  afterAll(cleanUp);

  const esbuild = async (...args: string[]): Promise<string> => {
    await runProgram(toolFile('esbuild/bin/esbuild'), ['--bundle', '--format=esm', ...args], project.folder);
    return project.read('out.mjs').toString();
  };

  test('the package tidings-client has the client with its types, and nothing of the chat page', () => {
    const kinds = project.packed.map((path) =>
      path.replace(/^client\/[a-z-]+\.js$/, 'client').replace(/^types\/[a-z-]+\.d\.ts$/, 'types'),
    );
    expect([...new Set(kinds)]).toEqual(['LICENSE', 'README.md', 'client', 'package.json', 'types']);
    const named = (folder: string, end: string): string[] =>
      project.packed
        .filter((path) => path.startsWith(folder))
        .map((path) => path.slice(folder.length, -end.length));
    expect(named('types/', '.d.ts')).toEqual(named('client/', '.js'));
  });

  test('the package tidings-client has no dependency', () => {
    const lock = JSON.parse(project.read('package-lock.json').toString()) as { packages: object };
    expect(Object.keys(lock.packages)).toEqual(['', 'node_modules/tidings-client']);
  });

  test.each(NODES)('importing the package in Node %i looks at nothing and starts nothing', async (major) => {
    const printed = await runProgram(nodeProgram(major), ['import.mjs'], project.folder);
    const names: unknown = expect.arrayContaining(['Problem', 'Unreachable', 'connect']);
    expect(JSON.parse(printed)).toEqual({ seen: [], names });
  });

  test('the package tidings-client leaves nothing in a bundle that does not use it', async () => {
    expect(await esbuild('unused.mjs', '--outfile=out.mjs')).toBe('');
  });

  test(`the package tidings-client has at most ${MAX_BYTES} bytes in a bundle, minified and compressed`, async () => {
    const bundle = await esbuild('all.mjs', '--minify', '--outfile=out.mjs');
    const { length } = gzipSync(bundle, { level: 9 });
    process.stderr.write(`tidings-client: ${bundle.length} bytes minified, ${length} compressed\n`);
    expect(length).toBeLessThanOrEqual(MAX_BYTES);
  });

  test.each(NODES)('the client follows, sends and looks back in Node %i, which then ends', async (major) => {
    const server = await Server.start({ env: { AUTH_SECRET: SECRET } });
    const token = await tokenFor('alice', { sendTo: ['alice'] });
    const printed = await runProgram(nodeProgram(major), ['program.mjs', server.url, token], project.folder);
    const both = ['first', 'second'];
    expect(JSON.parse(printed)).toEqual({
      told: both,
      history: both,
      state: 'live',
      transport: 'stream',
      persistent: false,
    });
  });

  test.each(['no-url.mjs', 'own.mjs'])('the client says in Node that it needs a URL: %s', async (file) => {
    expect(await runProgram(process.execPath, [file], project.folder)).toContain(TOLD);
  });

  test('the client says that it needs a URL if a build tool has removed the URL of its module', async () => {
    await esbuild('own.mjs', '--format=iife', '--outfile=out.mjs');
    expect(await runProgram(process.execPath, ['out.mjs'], project.folder)).toContain(TOLD);
  });
});
