import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { PushClient } from '../../src/push/push-client.ts';
import { PushHosts } from '../../src/push/push-hosts.ts';
import { PushSender } from '../../src/push/push-sender.ts';
import { newVapidKeys } from '../../src/push/vapid.ts';
import { VapidSigner } from '../../src/push/vapid-signer.ts';

test('endpoints on many hosts that are no longer in PUSH_HOSTS fill neither the log nor the memory', async () => {
  const lines: string[] = [];
  const log = new Writable({
    write: (line: Buffer, _encoding, done) => {
      lines.push(line.toString());
      done();
    },
  });
  const sender = new PushSender({
    client: new PushClient(),
    hosts: new PushHosts(['push.example.org']),
    signer: new VapidSigner({ ...newVapidKeys(), subject: 'mailto:operator@example.org' }),
    logger: pino(log),
    now: Date.now,
  });
  for (let host = 0; host < 100; host++) {
    const outcome = await sender.send(`https://h${host}.elsewhere.example.org/x`, () =>
      Promise.reject(new Error('it is not to be made')),
    );
    expect(outcome).toEqual({ kind: 'refused' });
  }
  expect(lines).toHaveLength(20);
  expect(lines[0]).toContain('h0.elsewhere.example.org is not in PUSH_HOSTS');
  expect(sender.counts.refused).toBe(100);
});
