import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { PARTS } from '../../jest.ci.config.js';
import { NODES } from '../support/client-package.ts';

const ROOT = join(import.meta.dirname, '../..');
const GITHUB = join(ROOT, '.github');

interface Workflow {
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly strategy?: {
          readonly matrix?: { readonly node?: readonly number[]; readonly part?: readonly number[] };
        };
        readonly steps: readonly { readonly run?: string; readonly uses?: string }[];
      }
    >
  >;
}

const read = (path: string): unknown => parse(readFileSync(join(ROOT, path), 'utf8'));
const names = readdirSync(join(GITHUB, 'workflows'));
const workflows = names.map((name) => read(`.github/workflows/${name}`) as Workflow);
const steps = workflows.flatMap(({ jobs }) => Object.values(jobs).flatMap((job) => job.steps));
const { scripts } = read('package.json') as { scripts: Record<string, string> };

const folder = mkdtempSync(join(tmpdir(), 'tidings-notes-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('each command in a workflow exists', () => {
  const commands = steps.flatMap(({ run = '' }) => run.split('\n'));
  const called = commands.flatMap((line) =>
    [...line.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name),
  );
  expect(called.length).toBeGreaterThan(0);
  expect(called.filter((name) => !(name in scripts))).toEqual([]);
  const files = commands.flatMap((line) => [...line.matchAll(/\.ci\/[\w-]+/g)].map(([path]) => path));
  expect(files.length).toBeGreaterThan(0);
  expect(files.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test('each part of the suites has a job', () => {
  const parts = workflows.flatMap(({ jobs }) =>
    Object.values(jobs).flatMap(({ strategy }) => strategy?.matrix?.part ?? []),
  );
  expect(parts).toEqual(Array.from({ length: PARTS }, (_, index) => index + 1));
});

test('each supported version of Node has a job', () => {
  const tried = workflows.flatMap(({ jobs }) =>
    Object.values(jobs).flatMap(({ strategy }) => strategy?.matrix?.node ?? []),
  );
  expect(tried).toEqual(NODES);
});

test('each action in a workflow has a fixed version', () => {
  const used = steps.flatMap(({ uses }) => (uses === undefined ? [] : [uses]));
  expect(used.filter((action) => !/^[\w-]+\/[\w-]+@v\d/.test(action))).toEqual([]);
});

test('the forms of issues have unique fields, and the folders that dependabot updates exist', () => {
  for (const name of ['fault.yml', 'wish.yml']) {
    const { body } = read(`.github/ISSUE_TEMPLATE/${name}`) as { body: readonly { id: string }[] };
    expect(new Set(body.map(({ id }) => id)).size).toBe(body.length);
  }
  const { updates } = read('.github/dependabot.yml') as {
    updates: readonly { directory?: string; directories?: readonly string[] }[];
  };
  const kept = updates.flatMap(({ directory, directories = [] }) => [
    ...directories,
    ...(directory === undefined ? [] : [directory]),
  ]);
  expect(kept.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

/** Prints the notes of a version, from a project with this changelog. */
function notesOf(
  version: string,
  changelog: string,
): { status: number | null; stdout: string; stderr: string } {
  mkdirSync(join(folder, '.ci'), { recursive: true });
  mkdirSync(join(folder, 'public'), { recursive: true });
  cpSync(join(ROOT, '.ci/release-notes'), join(folder, '.ci/release-notes'));
  for (const file of ['package.json', 'public/package.json'])
    writeFileSync(join(folder, file), JSON.stringify({ version: '1.2.0' }));
  writeFileSync(join(folder, 'CHANGELOG.md'), changelog);
  const { status, stdout, stderr } = spawnSync(join(folder, '.ci/release-notes'), [version], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('the notes of a release are its section of the changelog, and a version without one is refused', () => {
  const changelog = '# Changelog\n\n## 1.2.0 (2026-01-02)\n\n- New.\n\n## 1.1.0 (2025-01-02)\n\n- Old.\n';
  expect(notesOf('1.2.0', changelog)).toEqual({ status: 0, stdout: '\n- New.\n', stderr: '' });
  expect(notesOf('1.3.0', changelog)).toMatchObject({
    status: 1,
    stderr: 'package.json has version 1.2.0, not 1.3.0.\n',
  });
  const undated = changelog.replace('1.2.0 (2026-01-02)', 'Unreleased');
  expect(notesOf('1.2.0', undated)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('no section'),
  });
});
