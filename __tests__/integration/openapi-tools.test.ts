/** The tools of other people take the description: a linter, and a maker of types. */
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { runProgram } from '../support/client-package.ts';
import { builtDocument } from '../support/description.js';
import { cleanUp, newFolder, Server } from '../support/server.ts';
import { typedSamples } from '../support/typed-samples.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The linter would look for a newer version of itself, and tell its makers of its use. */
const QUIET = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

const node = (program: string, args: readonly string[], cwd: string, env = {}): Promise<string> =>
  runProgram(process.execPath, [join(ROOT, 'node_modules', program), ...args], cwd, env);

const page = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

/** The program of docs/guide.md that its own first line names. */
function guideProgram(name: string): string {
  const [, text] = new RegExp(`\`\`\`ts\n(// ${name}\n.*?)\`\`\``, 's').exec(page('docs/guide.md')) ?? [];
  if (text === undefined) throw new Error(`docs/guide.md has no ${name}`);
  return text;
}

afterAll(cleanUp);

test('redocly lint finds no fault in the description, of a single node or of a cluster', async () => {
  const folder = newFolder();
  const server = await Server.start();
  writeFileSync(join(folder, 'single.json'), await (await fetch(`${server.url}/openapi.json`)).text());
  writeFileSync(join(folder, 'cluster.json'), JSON.stringify(await builtDocument()));
  for (const name of ['single.json', 'cluster.json']) {
    const args = ['lint', name, '--format=json', '--config', join(ROOT, 'redocly.yaml')];
    const said = await node('@redocly/cli/bin/cli.js', args, folder, QUIET);
    expect(JSON.parse(said)).toMatchObject({ totals: { errors: 0, warnings: 0 }, problems: [] });
  }
});

test('types made from /openapi.json compile against the samples of the docs, and the program of the guide runs', async () => {
  const folder = newFolder();
  const server = await Server.start();
  await node(
    'openapi-typescript/bin/cli.js',
    [`${server.url}/openapi.json`, '--output', 'tidings.d.ts'],
    folder,
  );
  const protocol = typedSamples(page('docs/protocol.md'));
  const readme = typedSamples(page('README.md'));
  expect(protocol.count).toBeGreaterThan(20);
  expect(readme.count).toBeGreaterThan(1);
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const files = {
    'protocol.ts': protocol.text,
    'readme.ts': readme.text,
    'orders.ts': guideProgram('orders.ts'),
    'package.json': '{"type":"module"}',
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        target: 'es2022',
        module: 'nodenext',
        types: ['node'],
        allowImportingTsExtensions: true,
        rewriteRelativeImportExtensions: true,
      },
    }),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  expect(await node('typescript/bin/tsc', ['-p', folder], folder)).toBe('');
  const said = await runProgram(process.execPath, ['orders.js'], folder, { PUSH_URL: server.url });
  expect(said).toBe('1 anonymous {"order":7}\nnothing is missing that is all\n');
});
