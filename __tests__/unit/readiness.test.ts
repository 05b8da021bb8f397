import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { type LogHealth, LogUnavailable } from '../../src/log/message-log.ts';
import { Readiness } from '../../src/log/readiness.ts';
import { KeptLog } from '../support/nats-link.ts';

/** A log of which a test says what a probe does. */
function logWith(probe: () => Promise<void>): LogHealth {
  return { refusing: undefined, probe };
}

describe('readiness', () => {
  afterEach(() => {
    jest.useRealTimers();
  });

  test('the readiness check tries the log once for all requests within a second', async () => {
    jest.useFakeTimers();
    let probes = 0;
    const readiness = new Readiness(
      logWith(() => {
        probes++;
        return Promise.resolve();
      }),
      new KeptLog().logger,
    );
    await Promise.all(Array.from({ length: 50 }, () => readiness.check()));
    jest.advanceTimersByTime(1000);
    await readiness.check();
    expect(probes).toBe(1);
    jest.advanceTimersByTime(1);
    await readiness.check();
    expect(probes).toBe(2);
  });

  test('the readiness check says why the log cannot be written', async () => {
    const readiness = new Readiness(
      logWith(() => Promise.reject(new LogUnavailable('the disk is full'))),
      new KeptLog().logger,
    );
    await expect(readiness.check()).rejects.toThrow('the disk is full');
    await expect(readiness.check()).rejects.toThrow('the disk is full');
  });

  test('a change of readiness is logged once, however often it is asked for', async () => {
    let fault: string | undefined;
    const kept = new KeptLog();
    const readiness = new Readiness(
      logWith(() => Promise.resolve()),
      kept.logger,
      () => fault,
    );
    for (const now of [undefined, 'one', 'one', 'two', undefined, undefined]) {
      fault = now;
      await readiness.check().catch(() => undefined);
    }
    expect(kept.lines.map(({ level, msg, why }) => [level, msg, why])).toEqual([
      [40, 'the service is not ready', 'one'],
      [30, 'the service is ready again', undefined],
    ]);
  });

  test('the readiness check says why this node is unusable although its log can be written', async () => {
    let fault: string | undefined = 'the clock of this node differs from that of the cluster';
    const readiness = new Readiness(
      logWith(() => Promise.resolve()),
      new KeptLog().logger,
      () => fault,
    );
    await expect(readiness.check()).rejects.toThrow(fault);
    fault = undefined;
    await expect(readiness.check()).resolves.toBeUndefined();
  });

  test('the readiness check does not wait for a disk that does not answer', async () => {
    const readiness = new Readiness(
      logWith(() => new Promise(() => undefined)),
      new KeptLog().logger,
    );
    const began = performance.now();
    await expect(readiness.check()).rejects.toThrow(LogUnavailable);
    expect(performance.now() - began).toBeGreaterThan(1900);
  });
});
