/** How far notifications have come, looked at in the log and in the metrics. */
import { publish } from './api.ts';
import { scrape } from './exposition.ts';
import { readNumber } from './file.ts';
import { until } from './until.ts';

/** Says that a reader has read what a peer sent, through a message. */
export async function markRead(url: string, reader: string, peer: string, messageId: number): Promise<void> {
  const marker = { sender: reader, recipient: peer, type: 'read', content: { messageId } };
  const answer = await publish(url, marker);
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
}

/** Waits until every device of a recipient is past a message: it was notified of it, or did not need to be. */
export async function dealtWith(database: string, recipient: string, messageId: number): Promise<void> {
  const sql = 'SELECT min(through) FROM pushSubscriptions WHERE recipient = ?';
  await until(
    () => readNumber(database, sql, recipient) >= messageId,
    `message ${messageId} to be dealt with`,
  );
}

/** How many subscriptions are stored. */
export function subscriptionsIn(database: string): number {
  return readNumber(database, 'SELECT count(*) FROM pushSubscriptions');
}

/** Waits until so many requests to push services had a result. */
export async function outcomes(
  url: string,
  result: 'sent' | 'gone' | 'refused' | 'failed',
  count: number,
): Promise<void> {
  await until(
    async () => (await scrape(url)).value('tidings_notification_requests_total', { result }) >= count,
    `${count} requests ${result}`,
  );
}
