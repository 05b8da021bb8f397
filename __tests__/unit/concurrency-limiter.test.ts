import { expect, test } from '@jest/globals';
import { ConcurrencyLimiter } from '../../src/push/concurrency-limiter.ts';

/** Returns a function that asks for a request to start; `started` gets the names of those that did, in order. */
function requests(limiter: ConcurrencyLimiter, started: string[]): (service: string, name?: string) => void {
  return (service, name = service) => void limiter.acquire(service).then(() => started.push(name));
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a push service has few requests in flight at once, and the others start in order as those end', async () => {
  const limiter = new ConcurrencyLimiter({ total: 10, perService: 2 });
  const started: string[] = [];
  const request = requests(limiter, started);
  for (const name of ['a1', 'a2', 'a3', 'a4']) request('a', name);
  request('b', 'b1');
  await settled();
  expect(started).toEqual(['a1', 'a2', 'b1']);
  expect([limiter.inFlight, limiter.waiting]).toEqual([3, 2]);
  limiter.release('a');
  await settled();
  limiter.release('a');
  await settled();
  expect(started.slice(3)).toEqual(['a3', 'a4']);
  expect([limiter.inFlight, limiter.waiting]).toEqual([3, 0]);
  for (const service of ['a', 'a', 'b']) limiter.release(service);
  expect(limiter.inFlight).toBe(0);
});

test('push services take turns while the total of requests in flight is at its limit', async () => {
  const limiter = new ConcurrencyLimiter({ total: 2, perService: 2 });
  const started: string[] = [];
  const request = requests(limiter, started);
  for (const service of ['a', 'a', 'a', 'a', 'b', 'b', 'c']) request(service);
  await settled();
  expect(started).toEqual(['a', 'a']);
  for (let count = 0; count < 5; count++) {
    limiter.release(started[count] ?? '');
    await settled();
  }
  expect(started.slice(2).sort()).toEqual(['a', 'a', 'b', 'b', 'c']);
  expect(started.slice(2, 5).sort()).toEqual(['a', 'b', 'c']);
});

test('ten thousand waiting requests to a push service start in order', async () => {
  const limiter = new ConcurrencyLimiter({ total: 1, perService: 1 });
  const started: string[] = [];
  const request = requests(limiter, started);
  const names = Array.from({ length: 10_000 }, (_, index) => `a${index}`);
  for (const name of names) request('a', name);
  for (let count = 1; count < names.length; count++) limiter.release('a');
  await settled();
  expect(started).toEqual(names);
  expect([limiter.inFlight, limiter.waiting]).toEqual([1, 0]);
});
