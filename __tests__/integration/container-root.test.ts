/**
 * The steps of the Dockerfile's last stage, without a container engine: in a Debian that debootstrap makes, as the user of the
 * image, on a file system that cannot be written but for /data. Its first stage is npm's own (`npm ci`, the build), which CI
 * has run already.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { publish } from '../support/api.ts';
import { freePorts } from '../support/free-ports.ts';
import { cleanUp, newFolder, undoAtEnd } from '../support/server.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const MINUTES = 60_000;
/** Beyond the path of the image's own user. */
const CHROOT = '/usr/sbin/chroot';

const runsHere = process.getuid?.() === 0 && existsSync('/usr/sbin/debootstrap');
if (!runsHere) process.stderr.write('skipped, "the image": it needs root, and Debian\'s debootstrap\n');

/** The instructions of the last stage of the Dockerfile. */
class Stage {
  readonly env: Record<string, string> = {};
  user = '';
  entrypoint: string[] = [];
  healthcheck: string[] = [];
  readonly root: string;
  #folder = '/';

  constructor(root: string) {
    this.root = root;
  }

  /** Does one step. @param build the folder of the first stage at its end */
  take(instruction: string, rest: string, build: string): void {
    switch (instruction) {
      case 'WORKDIR':
        this.#folder = rest;
        mkdirSync(join(this.root, rest), { recursive: true });
        break;
      case 'COPY': {
        const [, from = '', to = ''] = /^--from=build \/opt\/tidings\/(\S+) (\S+)$/.exec(rest) ?? [];
        cpSync(join(build, from), join(this.root, this.#folder, to.endsWith('/') ? from : to), {
          recursive: true,
          verbatimSymlinks: true,
        });
        break;
      }
      case 'RUN':
        this.shell(rest);
        break;
      case 'ENV':
        for (const variable of rest.split(' ')) {
          const [name = '', value = ''] = variable.split('=');
          this.env[name] = value;
        }
        break;
      case 'USER':
        this.user = rest;
        break;
      case 'ENTRYPOINT':
        this.entrypoint = JSON.parse(rest) as string[];
        break;
      case 'HEALTHCHECK':
        this.healthcheck = JSON.parse(rest.slice(rest.indexOf('['))) as string[];
        break;
      case 'VOLUME':
      case 'EXPOSE':
        break;
      default:
        throw new Error(`the test does not know ${instruction}`);
    }
  }

  shell(line: string): void {
    const args = [this.root, 'sh', '-euc', `cd ${this.#folder}; ${line}`];
    execFileSync(CHROOT, args, { env: { PATH: '/usr/local/bin:/usr/bin:/bin' } });
  }

  /** The words that run a command of the image as its user, in its folder. */
  command(words: readonly string[]): string[] {
    const run = `cd ${this.#folder}; exec "$@"`;
    return [CHROOT, `--userspec=${this.user}`, this.root, 'sh', '-c', run, 'sh', ...words];
  }
}

/** Returns a folder as the first stage leaves it: built, and without development's dependencies. */
function firstStage(): string {
  const folder = newFolder();
  for (const part of ['package.json', 'package-lock.json', '.npmrc', 'dist', 'db', 'public', 'node_modules'])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true, verbatimSymlinks: true });
  execFileSync('npm', ['prune', '--omit=dev', '--ignore-scripts', '--offline', '--no-audit'], {
    cwd: folder,
  });
  return folder;
}

(runsHere ? describe : describe.skip)('the image', () => {
  let stage: Stage;
  let env: Record<string, string>;
  beforeAll(() => {
    stage = new Stage(join(newFolder(), 'root'));
    const mirror = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)'], { encoding: 'utf8' });
    const [uri = ''] = mirror.split('\n').filter((line) => !line.includes('security'));
    execFileSync('debootstrap', ['--variant=minbase', 'bookworm', stage.root, uri]);
    // In the image of Node it is there.
    copyFileSync(process.execPath, join(stage.root, 'usr/local/bin/node'));
    chmodSync(join(stage.root, 'usr/local/bin/node'), 0o755);
    const dockerfile = readFileSync(join(ROOT, 'deploy/container/Dockerfile'), 'utf8').replaceAll(
      '\\\n',
      ' ',
    );
    const last = dockerfile
      .slice(dockerfile.lastIndexOf('\nFROM ') + 1)
      .split('\n')
      .slice(1);
    const build = firstStage();
    for (const line of last) {
      const [, instruction, rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
      if (instruction !== undefined) stage.take(instruction, rest, build);
    }
    env = { PATH: '/usr/local/bin:/usr/bin:/bin', ...stage.env };
  }, 15 * MINUTES);
  afterAll(cleanUp);

  test('the image has the program, owned by root, and folders for data and secrets that only its user can read', () => {
    const list = execFileSync(
      'stat',
      ['--format=%U %u %a', '/data', '/secret', '/opt/tidings/dist/main.js'].map((path) =>
        path.startsWith('/') ? join(stage.root, path) : path,
      ),
      { encoding: 'utf8' },
    );
    expect(
      list
        .trim()
        .split('\n')
        .map((line) => line.split(' ').slice(1).join(' ')),
    ).toEqual(['10001 700', '10001 700', '0 755']);
    const [program = '', ...args] = stage.command(['tidings', '--version']);
    expect(execFileSync(program, args, { env, encoding: 'utf8' })).toMatch(/^tidings \d+\.\d+\.\d+\n$/);
    const bytes = execFileSync('du', ['--summarize', '--block-size=1', join(stage.root, 'opt/tidings')], {
      encoding: 'utf8',
    });
    process.stdout.write(
      `the image: ${Math.round(Number.parseInt(bytes, 10) / 1e6)} MB more than that of Node\n`,
    );
  });

  test('the image does not start for other machines without a key', () => {
    const [program = '', ...args] = stage.command(stage.entrypoint);
    const { status, stderr } = spawnSync(program, args, { env, encoding: 'utf8' });
    expect([status, stderr]).toEqual([1, expect.stringContaining('AUTH_')]);
  });

  test(
    'the image serves as process 1 on a read-only file system, reports its health, and ends at SIGTERM',
    async () => {
      const [port = 0] = await freePorts(1);
      const given = { ...env, HOST: '127.0.0.1', PORT: String(port), AUTH_SECRET: SECRET };
      // In namespaces of its own: the root is mounted again to be read only, and /data and /proc are its own.
      const mounts =
        'mount --bind "$1" "$1"; mount --bind "$1/data" "$1/data"; mount -o remount,bind,ro "$1"; mount -t proc proc "$1/proc"';
      const script = `set -e; ${mounts}; shift; exec "$@"`;
      const words = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, 'sh', stage.root];
      const child = spawn('unshare', [...words, ...stage.command(stage.entrypoint)], {
        env: given,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      undoAtEnd(() => child.kill('SIGKILL'));
      let said = '';
      for (const output of [child.stdout, child.stderr])
        output.setEncoding('utf8').on('data', (text: string) => (said += text));
      const check = (): number | null => {
        const [program = '', ...args] = stage.command(stage.healthcheck);
        return spawnSync(program, args, { env: given }).status;
      };
      expect(check()).toBe(1);
      await until(() => said.includes('listens on') || child.exitCode !== null, said);
      expect(said).toContain('listens on');
      expect(check()).toBe(0);
      const url = `http://127.0.0.1:${port}`;
      const token = await tokenFor('alice', { sendTo: ['bob'] });
      const answer = await publish(url, { recipient: 'bob', content: 'hi' }, bearer(token));
      expect(answer.status).toBe(201);
      expect(existsSync(join(stage.root, 'data/tidings.sqlite'))).toBe(true);
      const [pid = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
      expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^NSpid:\s+\d+\s+1$/m);
      expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\s+10001\s+10001/m);
      const ended = once(child, 'exit');
      const before = performance.now();
      process.kill(Number(pid), 'SIGTERM');
      expect(await ended).toEqual([0, null]);
      process.stdout.write(`the image: SIGTERM to its end ${Math.round(performance.now() - before)} ms\n`);
      expect(check()).toBe(1);
    },
    MINUTES,
  );
});
