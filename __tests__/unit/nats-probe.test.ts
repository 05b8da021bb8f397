import { Socket } from 'node:net';
import { afterEach, expect, jest, test } from '@jest/globals';
import { faultOf, type ProbeOptions } from '../../src/cluster/probe.ts';

const options: ProbeOptions = {
  tls: undefined,
  authenticator: () => undefined,
  signIn: undefined,
  milliseconds: 60_000,
};

afterEach(() => {
  jest.restoreAllMocks();
});

test.each([
  ['ECONNREFUSED', 'refuses connections: does a server run there?'],
  ['ENOTFOUND', 'is a name that has no address (ENOTFOUND)'],
  ['EAI_AGAIN', 'is a name that cannot be looked up now (EAI_AGAIN)'],
  ['ETIMEDOUT', 'does not answer'],
  ['EHOSTUNREACH', 'cannot be reached from here (EHOSTUNREACH)'],
  ['ENETUNREACH', 'cannot be reached from here (ENETUNREACH)'],
  ['ECONNRESET', 'closes the connection (ECONNRESET)'],
])('a NATS server that cannot be connected to by %s is described as: %s', async (code, words) => {
  jest.spyOn(Socket.prototype, 'connect').mockImplementation(function (this: Socket) {
    return this.destroy(Object.assign(new Error(code), { code }));
  });
  expect(await faultOf({ host: 'nats.example', port: 4222 }, options)).toBe(words);
});
