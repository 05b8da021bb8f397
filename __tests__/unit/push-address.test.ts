import { lookup } from 'node:dns';
import { describe, expect, test } from '@jest/globals';
import { isPublic, lookupPublic } from '../../src/push/public-address.ts';
import { words } from '../support/words.ts';

describe('isPublic', () => {
  test.each(
    words(`
      8.8.8.8 1.1.1.1 11.0.0.1 172.15.255.255 172.32.0.1 100.128.0.1 2a00:1450:4001::1 2606:4700::1111
    `),
  )('the address %s is public', (address) => expect(isPublic(address)).toBe(true));

  test.each([
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '127.255.255.255',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '100.127.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::8.8.8.8',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:0:8.8.8.8',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:808:808::1',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '4000::1',
    'e000::1',
    '',
    'localhost',
    '127.1',
    '8.8.8',
    '8.8.8.8.',
    '[::1]',
  ])('the address %s is not public', (address) => expect(isPublic(address)).toBe(false));
});

test('a name of this machine resolves to no address, with all options that a connection uses', async () => {
  const known = await new Promise<number>((resolve) =>
    lookup('localhost', { all: true }, (_error, found) => resolve(found.length)),
  );
  expect(known).toBeGreaterThan(0);
  for (const options of [{ all: true }, {}, { family: 4 }]) {
    const [error, address] = await new Promise<[Error | null, unknown]>((resolve) =>
      lookupPublic('localhost', options, (...answer) => resolve([answer[0], answer[1]])),
    );
    expect(error?.message).toBe('the name has no public address');
    expect(address).toBe('');
  }
});
