/** The pages of a device without a stream. */
import { get, type WireMessage } from './api.ts';
import type { DeviceStream } from './stream.ts';

export interface PulledPage {
  readonly messages: readonly WireMessage[];
  readonly cursor: string;
  /** Only if the page is one after a cursor. */
  readonly gap?: unknown;
  readonly more: boolean;
  /** The id before which the next page ends, if there is more. */
  readonly before?: number;
}

/** Returns one page; `query` is the part after `/messages?`. Fails if the answer is not 200. */
export async function pull(origin: string, query: string): Promise<PulledPage> {
  const answer = await get(origin, `/messages?${query}`);
  if (answer.status !== 200) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body as PulledPage;
}

/** Returns all messages of an inbox after a cursor, read page by page. */
export async function pullAll(origin: string, recipient: string, after = '0'): Promise<WireMessage[]> {
  const messages: WireMessage[] = [];
  for (let cursor = after; ;) {
    const page = await pull(origin, `recipient=${recipient}&limit=1000&after=${cursor}`);
    messages.push(...page.messages);
    cursor = page.cursor;
    if (!page.more) return messages;
  }
}

/** Returns the cursor of the newest position. */
export async function headCursor(origin: string): Promise<string> {
  return (await pull(origin, 'recipient=nobody&before=latest&limit=1')).cursor;
}

/** Waits for a stream's `live`, and returns its data. */
export async function liveOf(device: DeviceStream): Promise<{ cursor: string; replayed: number }> {
  return (await device.waitFor('live')).data as { cursor: string; replayed: number };
}
