import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { readConfig } from '../../src/config/config.ts';
import { variableName } from '../../src/config/variable.ts';
import { allVariables } from '../../src/config/variables.ts';
import { freePorts } from '../support/free-ports.ts';
import { cleanUp, newFolder, undoAtEnd } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const COMPOSE = join(ROOT, 'deploy/nats/compose.yaml');
/** All of deploy. */
const COMPOSES = [
  COMPOSE,
  ...['compose.yaml', 'compose.nginx.yaml'].map((name) => join(ROOT, 'deploy/container', name)),
];

/** The parts of a service of Docker Compose that tests look at. */
interface ComposeService {
  readonly environment: Readonly<Record<string, string>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly volumes?: readonly string[];
  readonly command?: readonly string[];
}

/** The secrets that are in `.env`. */
const SECRETS: Readonly<Record<string, string>> = {
  AUTH_SECRET: SECRET,
  NATS_PASSWORD: 'of-tidings',
  NATS_ROUTES_PASSWORD: 'of-routes',
  PUBLIC_URL: 'https://push.example.org',
};

interface ComposeFile {
  readonly services: Record<string, ComposeService>;
  readonly volumes: Record<string, unknown>;
}

/** The text of a file, without the tag by which a file takes back what another has: no schema knows it. */
const textOf = (file: string): string => readFileSync(file, 'utf8').replaceAll('!reset ', '');

const readCompose = (file: string): ComposeFile => parse(textOf(file), { merge: true }) as ComposeFile;

const { services, volumes } = readCompose(COMPOSE);

/** Returns the services whose names begin so. */
const servicesOf = (prefix: string): [string, ComposeService][] =>
  Object.entries(services).filter(([name]) => name.startsWith(prefix));

/** Returns a service's variables, with those of `.env` in them. */
function environmentOf({ environment }: ComposeService): Record<string, string> {
  const filled = (value: string): string =>
    value.replaceAll(
      /\$\{(\w+)(?::\?[^}]*|:-([^}]*))?\}/g,
      (_all, name: string, otherwise?: string) => otherwise ?? SECRETS[name] ?? 'undefined',
    );
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)]));
}

/** Checks a file against the schema of Compose files, and nothing of style. */
function lint(file: string): { status: number | null; output: string } {
  const program = join(ROOT, 'node_modules/.bin/dclint');
  const { status, stdout, stderr } = spawnSync(program, ['--quiet', file], { encoding: 'utf8' });
  return { status, output: (stdout + stderr).trim() };
}

afterAll(cleanUp);

test.each(COMPOSES.map((file) => [relative(ROOT, file), file]))(
  '%s has no field that Docker Compose does not know',
  (_name, file) => {
    const plain = join(newFolder(), 'compose.yaml');
    writeFileSync(plain, textOf(file));
    expect(lint(plain)).toEqual({ status: 0, output: '' });
  },
);

describe('the service alone, in a container', () => {
  const { services: alone } = readCompose(join(ROOT, 'deploy/container/compose.yaml'));
  const { services: behindNginx } = readCompose(join(ROOT, 'deploy/container/compose.nginx.yaml'));

  test('the Compose files of a single node set only variables that the service knows', () => {
    const known = new Set(allVariables().map(([key]) => variableName(key)));
    const secret = join(newFolder(), 'auth');
    writeFileSync(secret, SECRET);
    for (const file of [alone, behindNginx]) {
      const environment = { ...alone['tidings']?.environment, ...file['tidings']?.environment };
      expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
      const given = environmentOf({ environment: { ...environment, AUTH_SECRET_FILE: secret } });
      expect(readConfig(given, [], 1_000_000)).toMatchObject({ retentionDays: 0 });
    }
  });

  test('the Compose file makes the secret at the first run, for its user alone, and keeps it', () => {
    const folder = newFolder();
    const [script = ''] = alone['secret']?.command ?? [];
    const file = join(folder, 'auth');
    const make = (): string => {
      // Docker Compose writes $$ for a dollar sign; there is none.
      const { status, stderr } = spawnSync('sh', ['-euc', script.replaceAll('/secret/', `${folder}/`)], {
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, '']);
      return readFileSync(file, 'utf8');
    };
    expect(script).not.toContain('$');
    const made = make();
    expect(readConfig({ AUTH_SECRET_FILE: file }, [], 1_000_000).auth?.secrets?.list).toHaveLength(1);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(make()).toBe(made);
  });
});

describe('compose.yaml of deploy/nats', () => {
  test('the linter refuses a Compose file with an unknown field', () => {
    const file = join(newFolder(), 'compose.yaml');
    writeFileSync(file, readFileSync(COMPOSE, 'utf8').replace('cap_drop:', 'cap_drops:'));
    expect(lint(file)).toEqual({ status: 1, output: expect.stringContaining('invalid-schema') });
  });

  test('deploy/nats/compose.yaml gives each node known variables, and each server the variables that nats.conf needs', () => {
    const known = new Set(allVariables().map(([key]) => variableName(key)));
    const nodes = [...servicesOf('tidings-'), ...servicesOf('init')];
    expect(nodes).toHaveLength(4);
    for (const [name, service] of nodes) {
      const environment = environmentOf(service);
      expect([name, Object.keys(environment).filter((variable) => !known.has(variable))]).toEqual([name, []]);
      const { nats, auth } = readConfig(environment, [], 1_000_000);
      expect([name, nats?.servers.length, auth === undefined]).toEqual([name, 3, false]);
    }
    const configuration = readFileSync(join(ROOT, 'deploy/nats/nats.conf'), 'utf8');
    const needed = [...configuration.matchAll(/: \$(NATS_\w+)$/gm)].map(([, name = '']) => name);
    for (const [name, service] of servicesOf('nats-')) {
      const environment = environmentOf(service);
      expect(Object.keys(environment).toSorted()).toEqual(needed.toSorted());
      expect(environment['NATS_NAME']).toBe(name);
    }
  });

  test('deploy/nats/compose.yaml gives each service a volume, a read-only file system, and no rights', () => {
    const kept = Object.entries(services).flatMap(([name, { volumes: mounts = [] }]) =>
      mounts.filter((mount) => mount === `${name}:/data`),
    );
    expect(kept).toHaveLength(6);
    expect(kept.map((mount) => mount.split(':')[0]).toSorted()).toEqual(Object.keys(volumes).toSorted());
    for (const [name, service] of Object.entries(services)) {
      expect([name, service.read_only, service.cap_drop]).toEqual([name, true, ['ALL']]);
    }
  });
});

test('a container has all files that the service needs', async () => {
  const dockerfile = readFileSync(join(ROOT, 'deploy/container/Dockerfile'), 'utf8');
  const folder = newFolder();
  for (const [, from = '', to = ''] of dockerfile.matchAll(
    /^COPY --from=build \/opt\/tidings\/(\S+) (\S+)$/gm,
  )) {
    if (from === 'node_modules') symlinkSync(join(ROOT, from), join(folder, from));
    else cpSync(join(ROOT, from), to === './' ? join(folder, from) : join(folder, to), { recursive: true });
  }
  const data = join(folder, 'data');
  mkdirSync(data);
  const [, program = '', script = ''] = /^ENTRYPOINT \["(\w+)", "(\S+)"\]$/m.exec(dockerfile) ?? [];
  expect(program).toBe('node');
  const [, variables = ''] = /^ENV (.*)$/m.exec(dockerfile) ?? [];
  const [port = 0] = await freePorts(1);
  const env = Object.fromEntries(
    variables.split(' ').map((variable) => variable.split('=') as [string, string]),
  );
  expect(env).toMatchObject({ HOST: '0.0.0.0', DATABASE: '/data/tidings.sqlite' });
  const child = spawn(process.execPath, [script], {
    cwd: folder,
    env: {
      ...env,
      HOST: '127.0.0.1',
      PORT: String(port),
      DATABASE: join(data, 'tidings.sqlite'),
      AUTH_SECRET: SECRET,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  undoAtEnd(() => child.kill('SIGKILL'));
  let said = '';
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('utf8').on('data', (text: string) => (said += text));
  await until(() => said.includes('listens on') || child.exitCode !== null, 'the service to listen');
  const page = await fetch(`http://127.0.0.1:${port}/client.js`);
  expect([said, page.status]).toEqual([expect.stringContaining('listens on'), 200]);
  const [, healthcheck = ''] = /^HEALTHCHECK .*CMD (\[.*\])$/m.exec(dockerfile) ?? [];
  const [, ...args] = JSON.parse(healthcheck) as string[];
  const check = (): number | null =>
    spawnSync(process.execPath, args, { cwd: folder, env: { ...env, PORT: String(port) } }).status;
  expect(check()).toBe(0);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect(check()).toBe(1);
});
