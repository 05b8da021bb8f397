import { expect, test } from '@jest/globals';
import { patiently } from '../../src/cluster/patiently.ts';
import { StartError } from '../../src/start-error.ts';

const { signal: never } = new AbortController();
const describe = ({ message }: Error): string => `it is asked in vain: ${message}`;
const TIMES = { patience: 200, again: 1 };

const refuse = (): Promise<never> => Promise.reject(new Error('no responders'));

test('servers that elect a leader are asked again until they answer', async () => {
  let asked = 0;
  const ask = (): Promise<string> => (++asked < 5 ? refuse() : Promise.resolve('answer'));
  expect(await patiently(ask, never, describe, TIMES)).toBe('answer');
  expect(asked).toBe(5);
});

test('a question that fails for too long ends the start with its line', async () => {
  const failed = patiently(refuse, never, describe, TIMES);
  await expect(failed).rejects.toThrow('it is asked in vain: no responders');
});

test('a fault that waiting does not change ends the start at once', async () => {
  let asked = 0;
  const ask = (): Promise<never> => {
    asked++;
    return Promise.reject(new StartError('there is none'));
  };
  await expect(patiently(ask, never, describe, TIMES)).rejects.toThrow('there is none');
  expect(asked).toBe(1);
});

test('a start that is cancelled waits no longer', async () => {
  const cancelled = new AbortController();
  const answer = patiently(refuse, cancelled.signal, describe);
  cancelled.abort();
  await expect(answer).resolves.toBeUndefined();
});
