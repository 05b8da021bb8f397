import { posix } from 'node:path';

/**
 * The folders of src, lowest first. The files of each may import from the folders in its list, from their own folder and from
 * src itself (`.`). A folder lists only folders before it, so no dependency runs back.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const FOLDERS = {
  '.': [],
  files: [],
  logging: [],
  wire: [],
  auth: [],
  log: [],
  'log/order': ['log'],
  'log/replica': ['files', 'log'],
  'metrics/counters': ['wire'],
  hub: ['auth', 'log', 'metrics/counters', 'wire'],
  stream: ['auth', 'hub', 'log', 'metrics/counters', 'wire'],
  sse: ['wire'],
  ws: ['wire'],
  push: ['files', 'log'],
  publish: ['auth', 'hub', 'log'],
  metrics: ['hub', 'log', 'metrics/counters', 'push', 'wire'],
  http: ['auth', 'hub', 'log', 'metrics/counters', 'publish', 'stream', 'wire', 'ws'],
  'http/routes': ['auth', 'http', 'hub', 'log', 'metrics', 'publish', 'push', 'sse', 'stream', 'wire', 'ws'],
  config: ['auth', 'push'],
  cluster: ['config', 'files', 'hub', 'log', 'log/order', 'log/replica', 'logging', 'push'],
  cli: ['auth', 'config', 'files', 'log/replica', 'push'],
  openapi: ['auth', 'cluster', 'http', 'http/routes', 'hub', 'log', 'publish', 'push', 'wire', 'ws'],
};

/**
 * The same for single files, which combine the parts of other folders. Only folders and files that list them may import them;
 * their own folder may not.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const FILES = {
  'log/replicated-log.ts': ['log', 'log/order', 'log/replica'],
  'log/open-local-log.ts': ['files', 'log', 'log/order', 'log/replica', 'log/replicated-log.ts'],
  'log/cluster-retention.ts': ['log', 'log/order', 'log/replica'],
  'log/open-cluster-log.ts': [
    'files',
    'log',
    'log/order',
    'log/replica',
    'log/cluster-retention.ts',
    'log/replicated-log.ts',
  ],
  'end-on-signal.ts': [],
  'greeting.ts': ['config'],
  'app.ts': Object.keys(FOLDERS),
  'assemble.ts': [...Object.keys(FOLDERS), 'log/replicated-log.ts', 'app.ts'],
  'service.ts': [
    ...Object.keys(FOLDERS),
    'log/open-local-log.ts',
    'log/open-cluster-log.ts',
    'log/replicated-log.ts',
    'app.ts',
    'assemble.ts',
  ],
  'cli/serve.ts': ['cli', 'config', 'logging', 'end-on-signal.ts', 'greeting.ts', 'service.ts'],
  'cli/program.ts': ['cli', 'cluster', 'config', 'cli/serve.ts'],
  'main.ts': ['cli/program.ts'],
};

/** Files of code, whatever their extension. */
const CODE = '*.{ts,mts,cts,tsx,js,mjs,cjs}';

/** `require` accepts paths that no rule checks. */
const REQUIRE = { regex: '^(node:)?module$', message: 'Import with import, which lint can check.' };

/** A file that is run. Paths of other files, such as pages, are not imports. */
const SCRIPT = '/\\.[cm]?[jt]s$/';

/** All layers: the folders and files of src, with their allowed imports. */
export const LAYERS = { ...FOLDERS, ...FILES };

/** Only the replica may import SQLite, so that the log can be stored in other ways. */
const SQLITE = { packages: '^(better-sqlite3(/.*)?|node:sqlite)$', layers: ['log/replica'] };

/**
 * Returns ESLint's configurations for all files of src. Each rejects the imports that its layer may not have, including types.
 * A folder that is not in the list may import only from itself.
 *
 * @returns {import('eslint').Linter.Config[]}
 */
export function layerRules() {
  const noPlace =
    'This folder is not in eslint.layers.js. Add it there, before the folders that use it, with its allowed imports.';
  return [
    // A comment could switch the rules off.
    { files: [`src/**/${CODE}`], linterOptions: { noInlineConfig: true } },
    refuse(`src/**/${CODE}`, [{ regex: `^(?!\\./[^/]+$)[./]`, message: noPlace }]),
    ...Object.entries(LAYERS).map(([layer, imports]) => {
      return refuse(`src/${isFile(layer) ? layer : posix.join(layer, CODE)}`, refusalsOf(layer, imports));
    }),
  ];
}

/** @typedef {{ regex: string, message: string }} Refusal of the imports whose path matches */

/**
 * @param {string} layer
 * @param {readonly string[]} imports
 * @returns {Refusal[]}
 */
function refusalsOf(layer, imports) {
  const folder = folderOf(layer);
  const targets = [...new Set([...(isFile(layer) ? [] : [folder]), '.', ...imports])];
  const allowed = targets.map((target) => pathsOf(folder, target)).join('|');
  const message =
    `${nameOf(layer)} may import only from ${targets.map(nameOf).join(', ')}. Dependencies between folders point one way, ` +
    'so that each can be read, tested and replaced without the folders that use it: the list is in eslint.layers.js.';
  const sqlite = `${nameOf(layer)} must not import SQLite: only ${SQLITE.layers.map(nameOf).join(' and ')} may.`;
  return [
    { regex: `^(?!(${allowed})$)[./]`, message },
    ...(SQLITE.layers.includes(layer) ? [] : [{ regex: SQLITE.packages, message: sqlite }]),
  ];
}

/**
 * Returns a pattern of the paths with which files in one folder import another folder's files, or one file.
 *
 * @param {string} from
 * @param {string} target
 */
function pathsOf(from, target) {
  const to = folderOf(target);
  const way = posix.relative(from, to) || '.';
  const prefix = `${literal(way.startsWith('.') ? way : `./${way}`)}/`;
  if (isFile(target)) return prefix + literal(posix.basename(target));
  const apart = Object.keys(FILES).filter((file) => folderOf(file) === to);
  return `${prefix}(?!(${apart.map((file) => literal(posix.basename(file))).join('|')})$)[^/]+`;
}

/**
 * @param {string} files
 * @param {readonly Refusal[]} refusals
 * @returns {import('eslint').Linter.Config}
 */
function refuse(files, refusals) {
  return {
    files: [files],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [...refusals, REQUIRE].map((refusal) => ({ ...refusal, caseSensitive: true })) },
      ],
      // The rule above does not check `import()` of a module or a type, `declare module`, and the programs of threads.
      'no-restricted-syntax': [
        'error',
        ...[...refusals, REQUIRE].flatMap(({ regex, message }) => {
          const path = `/${regex.replaceAll('/', '\\x2F')}/`;
          return [
            { selector: `:matches(ImportExpression, TSImportType)[source.value=${path}]`, message },
            { selector: `TSModuleDeclaration[id.value=${path}]`, message },
            {
              selector: `NewExpression[callee.name="URL"] > Literal[value=${path}][value=${SCRIPT}]`,
              message,
            },
          ];
        }),
        {
          selector: 'ImportExpression[source.type!="Literal"]',
          message:
            'Write the path of import() as a plain string, so that lint can check it against eslint.layers.js.',
        },
      ],
    },
  };
}

/** @param {string} text */
function literal(text) {
  return text.replaceAll('.', '\\.');
}

/** @param {string} layer */
function isFile(layer) {
  return layer.endsWith('.ts');
}

/** @param {string} layer */
function folderOf(layer) {
  return isFile(layer) ? posix.dirname(layer) : layer;
}

/** @param {string} layer */
function nameOf(layer) {
  return layer === '.' ? 'src' : `src/${layer}`;
}
