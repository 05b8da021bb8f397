import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { keepVapidKeys, makeVapidKeys, newVapidKeys, readVapidKeys } from '../../src/push/vapid.ts';
import { cleanUp, newFolder } from '../support/server.ts';

afterAll(cleanUp);

test('the key pair of a cluster is kept beside the database of a node, for this user alone', () => {
  const file = join(newFolder(), 'keys.json');
  const keys = newVapidKeys();
  expect(keepVapidKeys(file, keys)).toBeUndefined();
  expect(readVapidKeys(file)).toEqual(keys);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const before = readFileSync(file);
  expect(keepVapidKeys(file, keys)).toBeUndefined();
  expect(readFileSync(file)).toEqual(before);
});

test('an earlier key pair of the node is put aside, and not lost', () => {
  const file = join(newFolder(), 'keys.json');
  const own = makeVapidKeys(file);
  const keys = newVapidKeys();
  const aside = keepVapidKeys(file, keys) ?? '';
  expect(existsSync(aside)).toBe(true);
  expect(readVapidKeys(aside)).toEqual(own);
  expect(readVapidKeys(file)).toEqual(keys);
});
