/** What a device without a stream sees. */
import { get, type WireMessage } from './api.ts';
import type { DeviceStream } from './stream.ts';

export interface PulledPage {
  readonly messages: readonly WireMessage[];
  readonly cursor: string;
  /** Only where the page is one after a cursor. */
  readonly gap?: unknown;
  readonly more: boolean;
  /** Where a page before an id goes on, if there is more. */
  readonly before?: number;
}

/** One page; `query` is what follows `/messages?`. Fails where the answer is not 200. */
export async function pull(origin: string, query: string): Promise<PulledPage> {
  const answer = await get(origin, `/messages?${query}`);
  if (answer.status !== 200) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body as PulledPage;
}

/** All that the log holds of an inbox after a cursor, page by page. */
export async function pullAll(origin: string, recipient: string, after = '0'): Promise<WireMessage[]> {
  const messages: WireMessage[] = [];
  for (let cursor = after; ;) {
    const page = await pull(origin, `recipient=${recipient}&limit=1000&after=${cursor}`);
    messages.push(...page.messages);
    cursor = page.cursor;
    if (!page.more) return messages;
  }
}

/** The cursor of the newest position. */
export async function headCursor(origin: string): Promise<string> {
  return (await pull(origin, 'recipient=nobody&before=latest&limit=1')).cursor;
}

/** What a stream's `live` says, once it has come. */
export async function liveOf(device: DeviceStream): Promise<{ cursor: string; replayed: number }> {
  return (await device.waitFor('live')).data as { cursor: string; replayed: number };
}
