import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Console, consoleSteps, normalized } from '../support/console.ts';
import { freePorts } from '../support/free-ports.ts';
import { cleanUp, newFolder } from '../support/server.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');

const pageOf = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

/** Starts the service as the README has it, on a free port. Returns its end. */
async function npmStart(port: number): Promise<() => Promise<unknown>> {
  const npm = spawn('npm', ['start'], {
    cwd: ROOT,
    // npm hands its own settings on, and the build before the start is one of its scripts.
    env: {
      ...process.env,
      npm_config_ignore_scripts: 'false',
      PORT: String(port),
      DATABASE: join(newFolder(), 'log.sqlite'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const output of [npm.stdout, npm.stderr])
    output.on('data', (text: Buffer) => (said += text.toString()));
  await until(() => said.includes('listens on') || npm.exitCode !== null, 'npm start listens');
  expect(said).toContain(`Tidings listens on http://127.0.0.1:${port} `);
  return async () => {
    const ended = once(npm, 'exit');
    npm.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  };
}

afterAll(cleanUp);

describe.each(['README.md', 'docs/protocol.md'])('%s', (name) => {
  test(`the commands of ${name}, run as they stand, print what the page says`, async () => {
    const [port = 0] = await freePorts(1);
    const end = await npmStart(port);
    const console = new Console();
    const steps = consoleSteps(pageOf(name).replaceAll(':7070', `:${port}`));
    expect(steps.length).toBeGreaterThan(3);
    for (const step of steps) {
      expect([step.command, await console.run(step)]).toEqual([step.command, normalized(step.output)]);
    }
    console.end();
    await end();
  });
});

test('docs/operations.md lists every variable with its default, and no other', () => {
  const help = execFileSync(process.execPath, [join(ROOT, 'dist/main.js'), 'serve', '--help'], {
    encoding: 'utf8',
  });
  const inHelp = [...help.matchAll(/^ {2}(?:--\S+)? +([A-Z_]+) +(\S+)/gm)].map(([, variable, fallback]) => ({
    variable,
    fallback,
  }));
  const [, section = ''] = pageOf('docs/operations.md').split('\n## Configuration\n');
  const inPage = [...section.matchAll(/^\| `([A-Z_]+)` +\| +`?([^|`]+?)`? +\|/gm)].map(
    ([, variable, fallback]) => ({ variable, fallback }),
  );
  // These have no default of their own: the page says where it comes from.
  const derived = new Set([
    'PUBLIC_URL',
    'MAX_STREAMS',
    'PUBLISH_RATE',
    'TRUST_PROXY',
    'AUTH_SECRET',
    'AUTH_SECRET_FILE',
    'AUTH_JWKS',
    'AUTH_ISSUER',
    'AUTH_AUDIENCE',
    'CORS_ORIGINS',
    'PUSH_HOSTS',
    'VAPID_PUBLIC_KEY',
    'VAPID_PRIVATE_KEY',
    'VAPID_SUBJECT',
    'NATS_URL',
    'NATS_CREDS',
    'NATS_NKEY',
    'NATS_USER',
    'NATS_PASSWORD',
    'NATS_PASSWORD_FILE',
    'NATS_TOKEN',
    'NATS_TOKEN_FILE',
    'NATS_CA',
    'NATS_CERT',
    'NATS_KEY',
    'NATS_MONITOR_URL',
    'NODE_NAME',
  ]);
  const comparable = (rows: typeof inHelp): typeof inHelp =>
    rows.map((row) => (derived.has(row.variable ?? '') ? { ...row, fallback: '' } : row));
  expect(comparable(inPage)).toEqual(comparable(inHelp));
});

test.each(['docs/architecture.md', 'docs/trust.md'])('every suite that %s names exists', (page) => {
  const names = [...pageOf(page).matchAll(/`((?:unit|integration|fuzz|browser)\/[a-z-]+)`/g)];
  expect(names.length).toBeGreaterThan(5);
  for (const [, name = ''] of names) {
    expect(() => readFileSync(join(ROOT, '__tests__', `${name}.test.ts`))).not.toThrow();
  }
});
