/**
 * The built program, and the judge of the wire that is loaded into it, each bundled into a few files before the suites run
 * (Jest's `globalSetup`). Suites start the program over a thousand times; a bundle takes half of the CPU of a start, since
 * Node has hundreds of modules less to find and compile. The program as it is shipped is started by the suites that
 * install it (`package-program`, `container-root`, `docs`), and by `npm run test:nodes`.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { builtDocument } from './description.js';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'dist/');
/** Below node_modules, so that the bundle finds the packages that it does not hold. */
const CACHE = join(ROOT, 'node_modules/.cache/tidings');
/** Its name is in this variable; the workers of Jest inherit it. */
const VARIABLE = 'TIDINGS_BUNDLE';

/** Bundles both. */
export default async function bundleProgram() {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'bundle-'));
  // Some services run as another user.
  chmodSync(folder, 0o755);
  await build({
    entryPoints: { main: join(PROGRAM, 'main.js'), 'wire-tap': join(import.meta.dirname, 'wire-tap.js') },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    platform: 'node',
    target: 'node20',
    // Node scans less. The names stay, since stacks in the log have them.
    minifySyntax: true,
    minifyWhitespace: true,
    // The first has a compiled part, the second is loaded at a terminal only, the others by nodes of a cluster only.
    external: ['better-sqlite3', 'pino-pretty', '@nats-io/*'],
    // Packages of CommonJS ask for Node's own modules by it.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    plugins: [{ name: 'places', setup: keepPlaces }],
    logLevel: 'warning',
  });
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(await builtDocument()));
  process.env[VARIABLE] = folder;
}

/** Removes the bundles. For Jest's `globalTeardown`. */
export function removeBundle() {
  const folder = process.env[VARIABLE];
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}

/** Has modules of the program find the files beside them, such as migrations and threads. @param {import('esbuild').PluginBuild} bundling */
function keepPlaces(bundling) {
  bundling.onLoad({ filter: /\/dist\/.*\.js$/ }, ({ path }) => {
    if (!path.startsWith(PROGRAM)) return undefined;
    const url = JSON.stringify(pathToFileURL(path).href);
    const folder = JSON.stringify(join(path, '..'));
    const contents = readFileSync(path, 'utf8')
      .replaceAll('import.meta.dirname', folder)
      .replaceAll('import.meta.url', url);
    return { contents, loader: 'js' };
  });
}
