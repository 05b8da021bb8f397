import { cpSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'esbuild';

const PUBLIC = join(import.meta.dirname, '../../public');

/** The modules that pages load by their names. All others are bundled into these. */
const LOADED = ['chat/app.js', 'client.js', 'client/storage.js'];

/**
 * Copies the files of the pages to a folder, with their modules bundled into a few. The page as it is shipped loads 70
 * modules one by one, for which a browser uses more CPU than for most tests of the page. Firefox loads it in this way
 * (`npm run test:firefox`), and so does `browser/chat-shell`.
 *
 * @param {string} folder is made
 */
export async function bundlePage(folder) {
  const isModule = (/** @type {string} */ file) => /^(chat|client)\/.*\.js$/.test(relative(PUBLIC, file));
  cpSync(PUBLIC, folder, { recursive: true, filter: (file) => !isModule(file) });
  await build({
    entryPoints: LOADED.map((name) => join(PUBLIC, name)),
    outbase: PUBLIC,
    outdir: folder,
    chunkNames: 'client/[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2023',
    logLevel: 'warning',
    plugins: [{ name: 'place', setup: keepPlace }],
  });
}

/**
 * Has `client.js` know its URL, from which it tells that of the service: its code is moved to the folder `client`.
 *
 * @param {import('esbuild').PluginBuild} bundling
 */
function keepPlace(bundling) {
  bundling.onLoad({ filter: /\/client\.js$/ }, ({ path }) => {
    const place = "new URL('../client.js', import.meta.url).href";
    return { contents: readFileSync(path, 'utf8').replace('import.meta.url', place), loader: 'js' };
  });
}
