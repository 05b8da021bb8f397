import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import type { Logger } from 'pino';
import { SecretKeys } from '../../src/auth/secret-keys.ts';
import { cleanUp, newFolder } from '../support/server.ts';
import { until } from '../support/until.ts';

const ONE = 'one secret of tests, which is long enough';
const OTHER = 'another secret of tests, which is long enough';

let keys: SecretKeys;
afterEach(async () => {
  keys.stop();
  await cleanUp();
});

test('a file with the same secrets in another order has its order taken, and no line of the log says that they changed', async () => {
  const file = join(newFolder(), 'secrets');
  writeFileSync(file, `${ONE}\n${OTHER}\n`);
  const lines: unknown[] = [];
  const logger = {
    info: (fields: unknown) => lines.push(fields),
    error: () => undefined,
  } as unknown as Logger;
  keys = new SecretKeys({ list: [ONE, OTHER].map((secret) => Buffer.from(secret)), file }, logger);
  await keys.start();
  const [first, second] = keys.candidates;

  writeFileSync(file, `${OTHER}\n${ONE}\n`);
  await until(() => keys.candidates[0] === second && keys.candidates[1] === first, 'the other order');
  expect(lines).toEqual([]);

  writeFileSync(file, `${OTHER}\n`);
  await until(() => keys.candidates.length === 1, 'one secret');
  expect(lines).toEqual([{ secrets: 1, added: 0, removed: 1 }]);
});
