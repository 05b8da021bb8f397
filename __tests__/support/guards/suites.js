/** The suites that could notice a change of a file, the cheap ones first. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import ts from 'typescript';

/** How many suites of a service or a browser are run for a guard: each takes up to a minute. */
const MAX_SLOW = 3;

/** How many of the unit suites that import a file are run: the nearest ones. */
const MAX_UNIT = 8;

/** The suites of a service or a browser that use a folder most, the best first. */
export const FITTING = {
  src: 'integration/start integration/end integration/refusals',
  'src/auth': 'integration/secret-rotation integration/tokens integration/claims',
  'src/cli': 'integration/command-line integration/config integration/start',
  'src/cluster': 'integration/cluster-nodes integration/cluster-serving integration/nats-outage',
  'src/config': 'integration/config integration/open-mode integration/start',
  'src/files': 'integration/disk-place integration/start integration/secret-rotation',
  'src/http': 'integration/refusals integration/bodies integration/limits',
  'src/http/routes': 'integration/publish integration/pull integration/session',
  'src/hub': 'integration/delivery integration/slow-reader integration/presence',
  'src/log': 'integration/delivery integration/pull integration/restore',
  'src/log/order': 'integration/cluster-nodes integration/publish integration/closed-log',
  'src/log/replica': 'integration/retention integration/conversation-pages integration/disk-full',
  'src/logging': 'integration/log-output integration/request-log integration/start',
  'src/metrics': 'integration/metrics integration/metrics-described integration/cluster-nodes',
  'src/metrics/counters': 'integration/metrics integration/counting integration/limits',
  'src/openapi': 'integration/openapi fuzz/openapi-requests integration/openapi-tools',
  'src/publish': 'integration/publish integration/publish-forms integration/limits',
  'src/push': 'integration/push integration/push-failures integration/push-addresses',
  'src/sse': 'integration/stream-frames integration/stream-start integration/eventsource',
  'src/stream': 'integration/stream-start integration/end integration/token-end',
  'src/wire': 'integration/slow-reader integration/fault-stopped-reader integration/bodies',
  'src/ws': 'integration/web-socket integration/web-socket-publish integration/web-socket-access',
  public: 'browser/clients browser/client-session browser/client-tabs',
  'public/chat': 'browser/chat browser/chat-places browser/chat-outages',
  'public/client': 'integration/client-transports browser/client-tabs browser/client-resume',
  'public/worker': 'browser/notifications browser/chat-shell browser/chat-install',
};

/**
 * Returns the suites for a file in three steps, to be run one after the other: the nearest unit suites, other unit suites
 * that import it, and suites of a service or a browser. Those are chosen by the words in their names and by the folder.
 *
 * @param {string} root the folder of the project @param {string} file
 */
export function suitesFor(root, file) {
  const importing = importersOf(root, file).filter((name) => isSuite(name, 'unit'));
  const unit = [...new Set([...mostAlike(file, importing), ...importing])].slice(0, MAX_UNIT).map(nameOf);
  const folders = file.startsWith('public/') ? ['browser', 'integration'] : ['integration'];
  const suites = folders
    .flatMap((folder) => sourcesIn(root, `__tests__/${folder}`))
    .filter((name) => isSuite(name, folders.join('|')));
  const named = mostAlike(file, suites).map(nameOf);
  const fitting =
    Object.entries(FITTING)
      .find(([folder]) => folder === dirname(file))?.[1]
      .split(' ') ?? [];
  const slow = [...new Set([...named.slice(0, 1), ...fitting])].slice(0, MAX_SLOW);
  return [unit.slice(0, 4), unit.slice(4), slow];
}

/** Returns the files that import a file, also through others, the nearest first. @param {string} root @param {string} file */
function importersOf(root, file) {
  /** @type {Map<string, string[]>} */
  const importers = new Map();
  const pages = sourcesIn(root, 'public');
  for (const name of [...sourcesIn(root, 'src'), ...pages, ...sourcesIn(root, '__tests__')]) {
    const text = readFileSync(join(root, name), 'utf8');
    const imported = ts
      .preProcessFile(text)
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .map(({ fileName }) => join(dirname(name), fileName));
    // Suites import files of pages by computed names, such as `${CLIENT}/storage.js`.
    if (isSuite(name, 'unit')) imported.push(...pages.filter((page) => text.includes(`/${basename(page)}`)));
    for (const other of imported) importers.set(other, [...(importers.get(other) ?? []), name]);
  }
  const found = new Set([file]);
  for (const name of found) for (const importer of importers.get(name) ?? []) found.add(importer);
  return [...found];
}

/** Returns suites that share words with the name of a file, those with most in common first. @param {string} file @param {readonly string[]} suites */
function mostAlike(file, suites) {
  const words = wordsOf(basename(file).replace(/\..*/, ''));
  return suites
    .map((suite) => {
      const others = wordsOf(basename(suite, '.test.ts'));
      const shared = others.filter((word) => words.includes(word)).length;
      return { suite, likeness: shared / Math.max(words.length, others.length) };
    })
    .filter(({ likeness }) => likeness >= 1 / 2)
    .sort((one, other) => other.likeness - one.likeness)
    .map(({ suite }) => suite);
}

/** Returns the program's files in a folder of the project. @param {string} root @param {string} folder */
export function sourcesIn(root, folder) {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => /\.(?:ts|js)$/.test(name) && !name.endsWith('.d.ts'))
    .sort();
}

/** Returns the words of a name, without the endings of plurals. @param {string} name */
const wordsOf = (name) => name.split('-').map((word) => word.replace(/s$/, ''));

/** Returns a suite's name as people write it: `unit/hub`. @param {string} path */
export const nameOf = (path) => path.replace(/^.*__tests__\//, '').replace(/\.test\.ts$/, '');

/** @param {string} path @param {string} folders */
const isSuite = (path, folders) => new RegExp(`^__tests__/(?:${folders})/.*\\.test\\.ts$`).test(path);
