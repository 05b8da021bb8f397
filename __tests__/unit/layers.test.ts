import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { expect, test } from '@jest/globals';
import { ESLint, type Linter } from 'eslint';
import ts from 'typescript';
import tseslint from 'typescript-eslint';
import { layerRules, LAYERS } from '../../eslint.layers.js';

const ROOT = join(import.meta.dirname, '../..');
const SRC = join(ROOT, 'src');
const SOURCES = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const layers = Object.entries(LAYERS);

// The rules of the layers alone: those that need types take seconds for each text.
const eslint = new ESLint({
  cwd: ROOT,
  overrideConfigFile: true,
  overrideConfig: [{ languageOptions: { parser: tseslint.parser } }, ...layerRules()],
});

const isFile = (layer: string): boolean => layer.endsWith('.ts');
const fileIn = (layer: string): string => (isFile(layer) ? layer : posix.join(layer, 'planted.ts'));
const nameOf = (layer: string): string => (layer === '.' ? 'src' : `src/${layer}`);

/** The path by which a file in one layer imports one in another. */
function pathTo(layer: string, other: string): string {
  const path = posix.relative(posix.dirname(fileIn(layer)), fileIn(other));
  return path.startsWith('.') ? path : `./${path}`;
}

/** Every way to import from a path, a line each. */
const waysToImport = (path: string): string[] => [
  `import { value } from '${path}';`,
  `import '${path}';`,
  `import type { Type } from '${path}';`,
  `import { type Type } from '${path}';`,
  `export { value } from '${path}';`,
  `export * from '${path}';`,
  `export type { Type } from '${path}';`,
  `const loaded = await import('${path}');`,
  `type Loaded = import('${path}').Type;`,
  `declare module '${path}' {}`,
];

/** Lints lines of code as a file of src. Returns the lines that are refused, and all messages. */
async function lint(
  file: string,
  lines: readonly string[],
): Promise<{ refused: string[]; messages: string[] }> {
  const [result] = await eslint.lintText(lines.join('\n'), { filePath: join(SRC, file) });
  const found = result?.messages ?? [];
  return {
    refused: found.map(({ line }) => lines[line - 1] ?? ''),
    messages: found.map(({ message }) => message),
  };
}

test.each(layers)(
  'a file of src/%s may import what the list of layers says, and nothing else',
  async (layer, imports) => {
    const own = isFile(layer) ? [] : [layer];
    const allowed = [...new Set(['.', ...own, ...imports])];
    const others = layers
      .map(([other]) => other)
      .filter((other) => other !== layer && !allowed.includes(other));

    const allowedLines = allowed.flatMap((other) => waysToImport(pathTo(layer, other)));
    expect(await lint(fileIn(layer), allowedLines)).toEqual({ refused: [], messages: [] });

    const lines = others.flatMap((other) => waysToImport(pathTo(layer, other)));
    const { refused, messages } = await lint(fileIn(layer), lines);
    expect(refused).toEqual(lines);
    for (const message of messages) expect(message).toContain(`${nameOf(layer)} may import only from`);
  },
);

test.each([
  ['log/replica/planted.ts', '../order/planted.ts'],
  ['log/order/planted.ts', '../replica/planted.ts'],
  ['log/planted.ts', './replica/planted.ts'],
  ['log/planted.ts', './replicated-log.ts'],
  ['hub/planted.ts', '../log/replica/planted.ts'],
  ['hub/planted.ts', '../log/replicated-log.ts'],
  ['hub/planted.ts', '../stream/planted.ts'],
  ['push/planted.ts', '../log/replica/planted.ts'],
  ['metrics/planted.ts', '../http/planted.ts'],
  ['http/planted.ts', './routes/planted.ts'],
  ['files/planted.ts', '../log/planted.ts'],
  ['planted.ts', './wire/planted.ts'],
  ['planted.ts', './main.ts'],
  ['hub/planted.ts', './../stream/planted.ts'],
  ['hub/planted.ts', '../hub/../stream/planted.ts'],
  ['hub/planted.ts', '../../src/stream/planted.ts'],
  ['hub/planted.ts', '../../dist/stream/planted.js'],
  ['log/order/planted.ts', 'better-sqlite3'],
  ['http/routes/planted.ts', 'better-sqlite3'],
  ['hub/planted.ts', 'better-sqlite3/lib/index.js'],
  ['log/planted.ts', 'node:sqlite'],
  ['hub/planted.mts', '../stream/planted.ts'],
  ['hub/planted.cts', '../stream/planted.ts'],
  ['hub/planted.tsx', '../stream/planted.ts'],
  ['hub/planted.ts', 'node:module'],
  ['log/replica/planted.ts', 'module'],
])('src/%s must not import %s', async (file, path) => {
  const lines = waysToImport(path);
  expect((await lint(file, lines)).refused).toEqual(lines);
});

test('a path of import() that is computed is refused, since nobody can check it', async () => {
  const lines = ['const folder = "../stream/";', 'await import(`${folder}planted.ts`);'];
  expect((await lint('hub/planted.ts', lines)).refused).toEqual(lines.slice(1));
});

test('a program that runs in a thread or process of its own is in a folder that may be imported', async () => {
  const programOf = (path: string): string => `new URL('${path}', import.meta.url);`;
  const lines = ['./own.js', '../../../public/', '../order/planted.js'].map(programOf);
  expect((await lint('log/replica/planted.ts', lines)).refused).toEqual(lines.slice(2));
});

test('no comment in a file of src switches a rule off', async () => {
  const line = "import { Heartbeats } from '../stream/heartbeats.ts';";
  const lines = ['/* eslint-disable */', line, '/* eslint no-restricted-imports: off */', line];
  expect((await lint('hub/planted.ts', lines)).refused.filter((refused) => refused === line)).toHaveLength(2);
});

test('a file in a folder without a place in the list of layers may import from its own folder alone', async () => {
  const lines = ["import { own } from './own.ts';", "import { Refusal } from '../errors.ts';"];
  const { refused, messages } = await lint('news/planted.ts', lines);
  expect(refused).toEqual(lines.slice(1));
  expect(messages.join()).toContain('This folder is not in eslint.layers.js');
});

test('the list of layers has every folder of src, and no other', () => {
  const folders = new Set(SOURCES.map((file) => posix.dirname(file)));
  expect(
    Object.keys(LAYERS)
      .filter((layer) => !isFile(layer))
      .sort(),
  ).toEqual([...folders].sort());
});

test('a layer names only layers that are listed before it', () => {
  const order = Object.keys(LAYERS);
  for (const [layer, imports] of layers) {
    for (const other of imports)
      expect([layer, other, order.indexOf(other) < order.indexOf(layer)]).toEqual([layer, other, true]);
  }
});

test('the linter of the project has the rules of the layers, for each file of src', async () => {
  const project = new ESLint({ cwd: ROOT });
  for (const file of SOURCES) {
    const rulesOf = async (from: ESLint): Promise<unknown[]> => {
      const { rules } = (await from.calculateConfigForFile(join(SRC, file))) as Linter.Config;
      return [rules?.['no-restricted-imports'], rules?.['no-restricted-syntax']];
    };
    expect([file, ...(await rulesOf(project))]).toEqual([file, ...(await rulesOf(eslint))]);
  }
});

/** Returns each circle of files that import one another, types included, as the way from a file back to itself. */
function circlesIn(texts: ReadonlyMap<string, string>): string[] {
  const importsOf = (file: string): string[] =>
    ts
      .preProcessFile(texts.get(file) ?? '')
      .importedFiles.map(({ fileName }) => posix.join(posix.dirname(file), fileName));
  const imports = new Map([...texts.keys()].map((file) => [file, importsOf(file)]));
  const circles: string[] = [];
  const seen = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' > '));
    if (seen.has(file)) return;
    seen.add(file);
    for (const imported of imports.get(file) ?? []) visit(imported, [...way, file]);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}

test('files that import each other are found, also if they import types alone', () => {
  const circle = new Map([
    ['hub/one.ts', "import { two } from './two.ts';"],
    ['hub/two.ts', "export type { Three } from '../wire/three.ts';"],
    [
      'wire/three.ts',
      "import type { One } from '../hub/one.ts';\nimport type { Message } from '../message.ts';",
    ],
    ['message.ts', ''],
  ]);
  expect(circlesIn(circle)).toEqual(['hub/one.ts > hub/two.ts > wire/three.ts > hub/one.ts']);
});

test('no files of src import each other, not even types', () => {
  const texts = new Map(SOURCES.map((file) => [file, readFileSync(join(SRC, file), 'utf8')]));
  expect(circlesIn(texts)).toEqual([]);
});

test('the linters of the project refuse files that import each other, in the whole repository', () => {
  const folder = mkdtempSync(join(tmpdir(), 'layers-'));
  try {
    cpSync(join(ROOT, 'knip.json'), join(folder, 'knip.json'));
    mkdirSync(join(folder, 'src'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'src/main.ts'), "import { one } from './one.ts';\none();\n");
    writeFileSync(
      join(folder, 'src/one.ts'),
      "import { two } from './two.ts';\nexport const one = () => two;\n",
    );
    writeFileSync(
      join(folder, 'src/two.ts'),
      "import { one } from './one.ts';\nexport const two = () => one;\n",
    );
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: { 'lint:files': string };
    };
    const [, options = ''] = /knip( .*)?$/.exec(scripts['lint:files']) ?? [];
    const program = join(ROOT, 'node_modules/.bin/knip');
    const { status, stdout } = spawnSync(program, options.trim().split(/\s+/), {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stdout).toContain('Circular dependencies');
    expect(status).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
