import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { LogUnavailable, type MessageLog } from '../../src/log/message-log.ts';
import { Readiness } from '../../src/log/readiness.ts';

/** A log of which a test says what a probe does. */
function logWith(probe: () => Promise<void>): MessageLog {
  return { probe } as unknown as MessageLog;
}

describe('readiness', () => {
  afterEach(() => {
    jest.useRealTimers();
  });

  test('tries the log once for all who ask within a second', async () => {
    jest.useFakeTimers();
    let probes = 0;
    const readiness = new Readiness(
      logWith(() => {
        probes++;
        return Promise.resolve();
      }),
    );
    await Promise.all(Array.from({ length: 50 }, () => readiness.check()));
    jest.advanceTimersByTime(1000);
    await readiness.check();
    expect(probes).toBe(1);
    jest.advanceTimersByTime(1);
    await readiness.check();
    expect(probes).toBe(2);
  });

  test('says why where the log cannot be written', async () => {
    const readiness = new Readiness(logWith(() => Promise.reject(new LogUnavailable('the disk is full'))));
    await expect(readiness.check()).rejects.toThrow('the disk is full');
    await expect(readiness.check()).rejects.toThrow('the disk is full');
  });

  test('does not wait for a disk that does not answer', async () => {
    const readiness = new Readiness(logWith(() => new Promise(() => undefined)));
    const began = performance.now();
    await expect(readiness.check()).rejects.toThrow(LogUnavailable);
    expect(performance.now() - began).toBeGreaterThan(1900);
  });
});
