import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { nodeFault } from '../../src/node-version.ts';

test.each(['20.19.0', '20.20.2', '22.0.0', '26.12.1', '100.0.0'])('Node %s is new enough', (version) => {
  expect(nodeFault(version)).toBeUndefined();
});

test.each(['20.18.3', '18.20.8', '16.0.0', '0.12.18'])('Node %s is refused in words', (version) => {
  expect(nodeFault(version)).toBe(
    `Node ${version} is too old: Tidings needs 20.19 or newer. Install one from nodejs.org.`,
  );
});

test('the oldest version of Node is the one in package.json', () => {
  const text = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
  const { engines } = JSON.parse(text) as { engines: { node: string } };
  const oldest = engines.node.replace('>=', '');
  expect(nodeFault(`${oldest}.0`)).toBeUndefined();
  expect(nodeFault('20.18.99')).toContain(oldest);
});
