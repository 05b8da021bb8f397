// Attacks on the log: on the publishes that wait for the disk, and on purges.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { pause, RawConnection, requestBytes } from '../wire.js';

/** @typedef {import('../attack.js').Attack} Attack */

/** How long the disk takes for a sync. */
const SYNC_SECONDS = 1;

/** The number of batches in all. */
const BATCHES = 300;

const DAY = 86_400_000;

/** The part of the log that is purged. */
const OLD = 0.9;

/** @type {Attack} */
export const waiting = {
  name: 'waiting',
  about: `batches of 1,000 with short contents and long addresses and keys, a disk that takes ${SYNC_SECONDS} s for each commit`,
  connections: [1, 64],
  missing: () => (spawnSync('strace', ['-V']).error === undefined ? undefined : 'strace is missing'),
  // The grants of a backend, which may publish as fast as it likes.
  grants: () => ({ sendTo: ['*'], rate: 1_000_000 }),
  hinder: slowDisk,
  attack: async (target) => {
    const { connections, index, quick, signal, tally, tokens } = target;
    const batches = Math.ceil((quick ? BATCHES / 3 : BATCHES) / connections);
    for (let batch = 0; batch < batches && !signal.aborted;) {
      const connection = new RawConnection(target, { reads: true });
      while (batch < batches && connection.open) {
        const body = longBatch(`${index}-${batch++}`);
        tally.sent++;
        await connection.write(requestBytes('/messages', { method: 'POST', token: tokens[0], body }));
      }
      if (batch === batches) await connection.closed;
    }
  },
};

/** @param {string} name of the batch */
function longBatch(name) {
  const messages = Array.from({ length: 1000 }, (_, index) => ({
    recipient: `${index}-`.padEnd(128, 'ж'),
    content: 0,
    idempotencyKey: `${name}-${index}-`.padEnd(128, 'ж'),
  }));
  return JSON.stringify(messages);
}

/**
 * Makes each sync of the disk slow. Only the threads that write are traced, so the serving thread stays fast.
 *
 * @param {import('../../server.js').Server} server
 */
async function slowDisk({ pid }) {
  const threads = readdirSync(`/proc/${pid}/task`).filter((thread) => Number(thread) !== pid);
  const delay = `inject=fsync,fdatasync:delay_enter=${SYNC_SECONDS * 1e6}`;
  const which = threads.flatMap((thread) => ['-p', thread]);
  const args = ['-o', '/dev/null', '-e', 'trace=fsync,fdatasync', '-e', delay, ...which];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  for await (const text of /** @type {AsyncIterable<string>} */ (strace.stderr.setEncoding('utf8'))) {
    said += text;
    if ((said.match(/attached/g) ?? []).length >= threads.length) break;
  }
  if (!said.includes('attached')) throw new Error(`strace ended: ${said}`);
  return () => void strace.kill();
}

/** @type {Attack} */
export const retention = {
  name: 'retention',
  about:
    'most of a log of 200,000 messages, each of a pair of its own, is a day old at once, RETENTION_DAYS=1',
  connections: [0],
  accounts: 0,
  start: { args: ['--retention-days', '1'] },
  store: async (url, quick) => {
    for (let first = 0; first < (quick ? 40_000 : 200_000); first += 1000) {
      const messages = Array.from({ length: 1000 }, (_, index) => ({
        recipient: `old-${first + index}`,
        content: 'x'.repeat(100),
      }));
      await fetch(`${url}/messages`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(messages),
      });
    }
  },
  arm: (file, milliseconds) => {
    const database = new Sqlite(file);
    const through = Number(database.prepare('SELECT max(id) FROM messages').pluck().get()) * OLD;
    const createdAt = Date.now() + milliseconds - DAY;
    database.prepare('UPDATE messages SET createdAt = ? WHERE id <= ?').run(createdAt, through);
    database.close();
  },
  attack: (target) => pause(target, 60_000),
};
