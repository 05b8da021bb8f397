import { publish, type WireMessage } from './api.ts';
import type { Server } from './server.ts';

const LARGEST_BODY = 4 * 1024 * 1024;

/**
 * Publishes messages to bob in batches as large as a body may be.
 *
 * @param onBatch gets the ids so far after each batch, and is waited for
 * @returns the ids
 */
export async function publishLargely(
  server: Server,
  count: number,
  content: string,
  onBatch: (ids: readonly number[]) => void | Promise<void> = () => undefined,
): Promise<number[]> {
  const ids: number[] = [];
  const batchSize = Math.min(1000, Math.floor(LARGEST_BODY / (content.length + 100)));
  while (ids.length < count) {
    const batch = Array.from({ length: Math.min(batchSize, count - ids.length) }, () => ({
      recipient: 'bob',
      content,
    }));
    const answer = await publish(server.url, batch);
    if (answer.status !== 201) throw new Error(`not stored: ${answer.status}`);
    ids.push(...(answer.body as WireMessage[]).map(({ id }) => id));
    await onBatch(ids);
  }
  return ids;
}
