/** The npm package `tidings-client`, packed and installed as its users do it, and their build tools. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe } from '@jest/globals';
import { newFolder } from './server.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The folder into which `.ci/client-tools/install` installs the tools. */
const TOOLS = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'tidings/client-tools/node_modules',
);

/** After this time a program is killed. Installing and compiling take long on a busy machine. */
const PATIENCE_MILLISECONDS = 60_000;
export const LONG_PATIENCE_MILLISECONDS = 600_000;

/** The versions of Node with which the package is tested. */
export const NODES = [20, 22, 24, 26] as const;

function hasTools(): boolean {
  try {
    const wanted = readFileSync(join(ROOT, '.ci/client-tools/package-lock.json'), 'utf8');
    return readFileSync(join(TOOLS, 'installed.json'), 'utf8') === wanted;
  } catch {
    return false;
  }
}

const runsHere = hasTools() || process.env['CI'] === 'true';

/**
 * A `describe` that is skipped, with a line that says why, if the tools are not installed; with `CI=true` it
 * fails.
 */
export function describeWithClientTools(name: string, tests: () => void): void {
  if (!runsHere) process.stderr.write(`skipped, "${name}": .ci/client-tools/install has what it needs\n`);
  (runsHere ? describe : describe.skip)(name, tests);
}

/** Returns the path of a tool's file, such as `vite/bin/vite.js`. */
export const toolFile = (path: string): string => join(TOOLS, path);

/** Returns the path of the program of a version of Node. */
export const nodeProgram = (major: number): string => toolFile(`node-${major}-${process.arch}/bin/node`);

/**
 * Runs a program to its end.
 *
 * @param more more variables of its environment
 * @param patience after how many milliseconds it is killed
 * @returns its output
 * @throws {Error} with its output, if its exit code is not 0, or it does not end by itself
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  cwd: string,
  more = {},
  patience = PATIENCE_MILLISECONDS,
): Promise<string> {
  // Without the variables of this process: npm would take over the settings of the npm that started it.
  const { PATH = '', HOME = '' } = process.env;
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      env: { PATH, HOME, ...more },
      timeout: patience,
      killSignal: 'SIGKILL' as const,
    };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stdout}\n${stderr}`));
    });
  });
}

/** A file of the package. */
interface PackedFile {
  readonly path: string;
}

/** Another person's project, outside of this repository, in which the package is installed. */
export class ClientProject {
  readonly folder: string;
  /** The paths of the files of the package, sorted. */
  readonly packed: readonly string[];

  private constructor(folder: string, packed: readonly string[]) {
    this.folder = folder;
    this.packed = packed;
  }

  /**
   * Packs the package in a checkout of its own, and installs it.
   *
   * @param files more files of the project, by path
   */
  static async create(files: Readonly<Record<string, string>>): Promise<ClientProject> {
    const folder = newFolder();
    const tarball = await pack('./public', newCheckout(CLIENT_PARTS), folder);
    const project = new ClientProject(folder, tarball.files.map(({ path }) => path).sort());
    project.write({ 'package.json': '{ "name": "app", "private": true, "type": "module" }', ...files });
    const install = ['install', `./${tarball.filename}`, '--offline', '--no-audit', '--no-fund'];
    await runProgram('npm', install, folder);
    return project;
  }

  /** Writes files, by path. */
  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  read(path: string): Buffer {
    return readFileSync(join(this.folder, path));
  }

  /** Copies the service's own module, with its imports, into a folder of the project. */
  copyServiceModule(folder: string): void {
    for (const part of ['client.js', 'client'])
      cpSync(join(ROOT, 'public', part), join(this.folder, folder, part), { recursive: true });
  }
}

/** The parts of a fresh clone that are needed to pack the client, and the program. */
const CLIENT_PARTS = ['public', 'tsconfig.json', 'tsconfig.public.json', 'tsconfig.client.json', 'LICENSE'];
const PROGRAM_PARTS = [
  ...CLIENT_PARTS,
  'src',
  'db',
  'package.json',
  'README.md',
  'CHANGELOG.md',
  '.gitignore',
];

/** A package as npm has packed it. */
export interface Packed {
  readonly filename: string;
  /** The bytes of the tarball. */
  readonly size: number;
  readonly files: readonly PackedFile[];
}

/** Packs the program in a checkout of its own. @param folder for the tarball */
export const packProgram = (folder: string): Promise<Packed> => pack('.', newCheckout(PROGRAM_PARTS), folder);

/** Packs a package. @param what its folder in the checkout @param to the folder for the tarball */
async function pack(what: string, checkout: string, to: string): Promise<Packed> {
  const args = ['pack', what, '--json', '--pack-destination', to];
  const answer = await runProgram('npm', args, checkout, {}, LONG_PATIENCE_MILLISECONDS);
  // Before its own output, npm prints that of scripts, whatever format is requested.
  const [packed] = JSON.parse(answer.slice(answer.search(/^\[/m))) as [Packed];
  return packed;
}

/**
 * Returns a new folder with parts of a fresh clone, and the dependencies. Packing writes files beside those
 * that it packs, and other suites may be looking at those of the repository.
 */
function newCheckout(parts: readonly string[]): string {
  const folder = newFolder();
  for (const part of parts) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}
