/** A device that drops its stream again and again, and comes back to any node with its cursor. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WireMessage } from './api.ts';
import type { Nodes } from './nodes.ts';
import type { Random } from './random.ts';
import { DeviceStream } from './stream.ts';
import { until, within } from './until.ts';

/** With a heartbeat each second, a stream that is silent for so long leads nowhere. */
const SILENCE_MILLISECONDS = 4000;

export class RoamingDevice {
  readonly faults: string[] = [];
  readonly #nodes: Nodes;
  readonly #random: Random;
  readonly #inbox: string;
  readonly #messages: WireMessage[] = [];
  readonly #ended: Promise<void>;
  #cursor: string;
  #isEnding = false;
  /** The newest message that it got. */
  #last = 0;

  /** @param cursor where it begins */
  constructor(nodes: Nodes, random: Random, inbox: string, cursor: string) {
    this.#nodes = nodes;
    this.#random = random;
    this.#inbox = inbox;
    this.#cursor = cursor;
    this.#ended = this.#roam();
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }

  /** Waits until it has the last message of its inbox, ends it, and looks at what it got: each once, and in order. */
  async end(history: readonly WireMessage[]): Promise<void> {
    const inbox = this.#inbox;
    const mine = history.filter(
      ({ sender, recipient }) => inbox === '*' || inbox === sender || inbox === recipient,
    );
    const last = mine.at(-1)?.id ?? 0;
    await until(() => this.#last >= last, `message ${last} on a device of ${inbox}`).catch((error: unknown) =>
      this.faults.push((error as Error).message),
    );
    await this.stop();
    const [got, sent] = [this.#messages.map(({ id }) => id), mine.map(({ id }) => id)];
    if (JSON.stringify(this.#messages) === JSON.stringify(mine)) return;
    const missing = sent.filter((id) => !got.includes(id));
    const twice = got.filter((id, index) => got.indexOf(id) !== index);
    const wrong = got.filter((id) => !sent.includes(id));
    const some = (ids: readonly number[]): string => `${ids.length} (${ids.slice(0, 5).join(', ')})`;
    this.faults.push(
      `a device of ${inbox} lacks ${some(missing)}, has twice ${some(twice)}, and has ${some(wrong)} that are not there`,
    );
  }

  async #roam(): Promise<void> {
    while (!this.#isEnding) {
      const url = this.#nodes.urlOf(this.#random.pick(this.#nodes.indices));
      const stream = await open(url, this.#inbox, this.#cursor);
      if (stream === undefined) await sleep(this.#random.integer(50, 200));
      else await this.#read(stream);
    }
  }

  /** Reads a stream for a while, or until it ends. */
  async #read(stream: DeviceStream): Promise<void> {
    const end = performance.now() + this.#random.integer(200, 4000);
    let taken = 0;
    let length = 0;
    let heardAt = performance.now();
    while (!stream.closed && !this.#isEnding) {
      const now = performance.now();
      if (stream.raw.length > length) heardAt = now;
      length = stream.raw.length;
      taken = this.#take(stream, taken);
      if (now > end || now - heardAt > SILENCE_MILLISECONDS) break;
      await sleep(20);
    }
    stream.cut();
    this.#take(stream, taken);
    if (stream.find('bye') !== undefined) await sleep(this.#random.integer(50, 200));
  }

  /** Takes the events from an index on. Returns how many there are. */
  #take(stream: DeviceStream, from: number): number {
    for (const { event, id, data } of stream.events.slice(from)) {
      const { gap } = data as { readonly gap?: unknown };
      if (event === 'ready' && gap !== false) {
        this.faults.push(`a device of ${this.#inbox} at ${this.#cursor} was told of a gap: ${String(gap)}`);
      }
      if (id !== undefined) this.#cursor = id;
      if (event !== 'message') continue;
      const message = data as WireMessage;
      this.#messages.push(message);
      this.#last = message.id;
    }
    return stream.events.length;
  }
}

/** Opens a stream; `undefined` if it is not given. */
async function open(url: string, inbox: string, cursor: string): Promise<DeviceStream | undefined> {
  const opening = DeviceStream.open(url, `recipient=${inbox}`, { lastEventId: cursor });
  const stream = await within(SILENCE_MILLISECONDS, opening);
  if (stream?.response.statusCode === 200) return stream;
  // Also if it comes later.
  void opening.then((late) => late.cut()).catch(() => undefined);
  return undefined;
}
