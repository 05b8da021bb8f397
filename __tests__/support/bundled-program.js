/**
 * The built program, its pages, and the judge of the wire that is loaded into it, each bundled into a few files before the
 * suites run (Jest's `globalSetup`). Suites start the program over a thousand times, and a bundle takes half of the CPU of a
 * start, since Node has hundreds of modules less to find and compile. Suites that install the program or look at its files
 * start it as it is shipped (`isShipped`), and so do those in Firefox.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { bundlePage } from './bundled-page.js';
import { builtDocument } from './description.js';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'dist/');
/** Its threads and processes, and the module that `unit/message-log` loads. */
const THREADS = [
  'log/open-local-log',
  'log/replica/writer-thread',
  'log/replica/database-process',
  'log/replica/integrity-process',
  'cluster/snapshot-process',
];
/** An import of a module of the program. */
const IMPORT = /^import (\{.*\}) from "(\.\/.*)";$/gm;
/** Below node_modules, so that the bundle finds the packages that it does not hold. */
const CACHE = join(ROOT, 'node_modules/.cache/tidings');
/** Its name is in this variable; the workers of Jest inherit it. */
const VARIABLE = 'TIDINGS_BUNDLE';

/** Makes a folder that is laid out like the project, with all of them. */
export default async function bundleProgram() {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'bundle-'));
  // Some services run as another user.
  chmodSync(folder, 0o755);
  for (const name of ['package.json', 'db/migrations'])
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  await bundleThreads(folder);
  await bundlePage(join(folder, 'public'));
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(await builtDocument()));
  await bundleMain(folder);
  process.env[VARIABLE] = folder;
}

/** Removes the bundles. For Jest's `globalTeardown`. */
export function removeBundle() {
  const folder = process.env[VARIABLE];
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}

/**
 * Bundles all that `main.js` imports, and uses it once, for the cache of its code.
 *
 * @param {string} folder of the bundle
 */
async function bundleMain(folder) {
  const main = readFileSync(join(PROGRAM, 'main.js'), 'utf8');
  const modules = [...main.matchAll(IMPORT)].map(([, , module]) => `export * from '${module}';`);
  await build({
    ...options(folder),
    stdin: { contents: modules.join('\n'), resolveDir: PROGRAM },
    outfile: join(folder, 'dist/program.cjs'),
    format: 'cjs',
    // V8 forgets what an import() belongs to when it reads its code from a cache.
    supported: { 'dynamic-import': false },
  });
  cpSync(join(import.meta.dirname, 'cached-program.js'), join(folder, 'dist/cached-program.js'));
  const file = join(folder, 'dist/main.js');
  const start = "$&import { program } from './cached-program.js';\n";
  writeFileSync(file, main.replace(/^#!.*\n/, start).replaceAll(IMPORT, 'const $1 = program;'));
  const env = { ...process.env, HOST: '127.0.0.1', PORT: '0', DATABASE: join(folder, 'first/run.sqlite') };
  mkdirSync(join(folder, 'first'));
  const first = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  first.stderr.on('data', (text) => (errors += String(text)));
  const ended = once(first, 'close');
  /** @type {string} */
  const line = await new Promise((resolve) => {
    first.stdout.once('data', (text) => resolve(String(text)));
    first.once('close', () => resolve(''));
  });
  const [url] = /http:\/\/[\d.:]+/.exec(line) ?? [];
  try {
    if (url !== undefined) await publishAndRead(url);
  } finally {
    first.kill();
  }
  await ended;
  if (url === undefined || first.exitCode !== 0) throw new Error(`the bundled program failed: ${errors}`);
  chmodSync(join(folder, 'dist/program.cjs.cache'), 0o644);
  rmSync(join(folder, 'first'), { recursive: true });
}

/**
 * Has the program run what most suites use.
 *
 * @param {string} url of the service
 */
async function publishAndRead(url) {
  const stream = await fetch(`${url}/stream?recipient=ann`);
  const publish = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
  for (const body of ['{"recipient":"ann","content":1}', '{}']) {
    const answer = await fetch(`${url}/messages`, { ...publish, body });
    await answer.text();
  }
  const history = await fetch(`${url}/messages?recipient=ann`);
  await history.text();
  await stream.body?.cancel();
}

/**
 * Bundles the threads, the processes and the judge of the wire.
 *
 * @param {string} folder of the bundle
 */
async function bundleThreads(folder) {
  await build({
    ...options(folder),
    entryPoints: {
      ...Object.fromEntries(THREADS.map((name) => [`dist/${name}`, join(PROGRAM, `${name}.js`)])),
      'wire-tap': join(import.meta.dirname, 'wire-tap.js'),
    },
    outdir: folder,
    format: 'esm',
    // Packages of CommonJS ask for Node's own modules by it.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
  });
}

/**
 * Returns the options that all bundles have.
 *
 * @param {string} folder of the bundle
 * @returns {import('esbuild').BuildOptions}
 */
function options(folder) {
  return {
    bundle: true,
    platform: 'node',
    target: 'node20',
    // Node scans less. The names stay, since stacks in the log have them.
    minifySyntax: true,
    minifyWhitespace: true,
    // The first has a compiled part, and the second is loaded at a terminal only.
    external: ['better-sqlite3', 'pino-pretty'],
    plugins: [{ name: 'places', setup: (bundling) => keepPlaces(bundling, folder) }],
    logLevel: 'warning',
  };
}

/**
 * Has modules of the program find the files beside them, such as migrations and threads, in the bundle's folder.
 *
 * @param {import('esbuild').PluginBuild} bundling
 * @param {string} folder of the bundle
 */
function keepPlaces(bundling, folder) {
  bundling.onLoad({ filter: /\/dist\/.*\.js$/ }, ({ path }) => {
    if (!path.startsWith(PROGRAM)) return undefined;
    const place = join(folder, 'dist', relative(PROGRAM, path));
    const contents = readFileSync(path, 'utf8')
      .replaceAll('import.meta.dirname', JSON.stringify(join(place, '..')))
      .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(place).href));
    return { contents, loader: 'js' };
  });
}
