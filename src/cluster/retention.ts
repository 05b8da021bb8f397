import { randomBytes } from 'node:crypto';
import { entryOf } from '../log/entry.ts';
import { encodeEntry } from '../log/order/entry-codec.ts';
import { StartError } from '../start-error.ts';
import type { LogRecord } from './catalogue.ts';
import type { JetStreamLink } from './jetstream-link.ts';
import { JetStreamEntries } from './entry-stream.ts';

/** The bounds of retention: the same as for RETENTION_DAYS and RETENTION_MESSAGES. */
const MAX_DAYS = 36_500;
const MAX_MESSAGES = 1_000_000_000;

/**
 * Changes the retention of a cluster. Running nodes apply it at once.
 *
 * @param bounds the bounds as they were typed. An `undefined` one stays unchanged
 * @throws {StartError} if one is not a number in its range
 */
export async function changeRetention(
  { link, client, manager }: JetStreamLink,
  prefix: string,
  { logId, generation }: LogRecord,
  { days, messages }: { readonly days: string | undefined; readonly messages: string | undefined },
): Promise<void> {
  const retention = {
    ...(days === undefined ? {} : { days: readCount('--days', days, MAX_DAYS) }),
    ...(messages === undefined ? {} : { messages: readCount('--messages', messages, MAX_MESSAGES) }),
  };
  const { maxPayload } = link;
  const stream = new JetStreamEntries({ client, manager, prefix, generation, maxPayload });
  const proposer = randomBytes(9).toString('base64url');
  const entry = entryOf({ kind: 'settings', retention });
  // Repeating the command appends another entry with the same content, which does no harm.
  await stream.append(encodeEntry({ logId, generation }, { proposer, counter: 1 }, entry), proposer);
}

function readCount(flag: string, text: string, max: number): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > max)
    throw new StartError(`${flag} must be a whole number from 0 to ${max}.`);
  return Number(text);
}
