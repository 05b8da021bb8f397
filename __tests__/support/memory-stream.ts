/** A stream of entries in memory, which several orders share, with the faults that a real one has. */
import type { EntryStream, StreamedEntry, StreamExtent } from '../../src/log/order/entry-stream.ts';

/** A stream in memory. */
export class MemoryStream implements EntryStream {
  maxBytes = 8 * 1024 * 1024;
  logId = 'log';
  generation = 1;
  /** The entries, in their order. A test may change them, as restoring a stream or making it again does. */
  readonly entries: StreamedEntry[] = [];
  /** The sequence of the oldest entry that is left. */
  first = 1;
  /** Called before an entry is appended; what it throws fails the append. `true`: it is stored all the same. */
  beforeAppend: (id: string) => boolean | Promise<boolean> = () => false;
  readonly #now: () => number;
  readonly #ids = new Set<string>();
  /** Called when there is a new entry, or reading breaks. */
  readonly #wakers = new Set<() => void>();
  #breaks = 0;

  /** @param now the clock of the stream, in milliseconds since the Unix epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  async append(bytes: Uint8Array, id: string): Promise<void> {
    const failsLater = await this.beforeAppend(id);
    if (!this.#ids.has(id)) {
      this.#ids.add(id);
      this.put(bytes);
    }
    if (failsLater) throw new Error('timeout');
  }

  /** Puts bytes into the stream, whatever they are. */
  put(bytes: Uint8Array): void {
    this.entries.push({ sequence: this.#last + 1, time: this.#now(), bytes });
    this.#wake();
  }

  /** Forgets which ids came, as a stream does after its window. */
  forgetIds(): void {
    this.#ids.clear();
  }

  /** Breaks off all that is being read. */
  break(): void {
    this.#breaks++;
    this.#wake();
  }

  extent(): Promise<StreamExtent> {
    const { logId, generation, first } = this;
    return Promise.resolve({ logId, generation, first, last: this.#last });
  }

  entry(sequence: number): Promise<StreamedEntry | undefined> {
    return Promise.resolve(this.entries.find((entry) => entry.sequence === sequence));
  }

  async *read(after: number, signal: AbortSignal): AsyncGenerator<StreamedEntry> {
    const breaks = this.#breaks;
    for (let next = after + 1; !signal.aborted;) {
      const entry = this.entries.find(({ sequence }) => sequence === next);
      if (entry !== undefined) {
        yield entry;
        next++;
      } else {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            this.#wakers.delete(wake);
            signal.removeEventListener('abort', wake);
            resolve();
          };
          this.#wakers.add(wake);
          signal.addEventListener('abort', wake);
        });
      }
      if (breaks !== this.#breaks) throw new Error('the connection is lost');
    }
  }

  get #last(): number {
    return this.entries.at(-1)?.sequence ?? this.first - 1;
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }
}

/** A stream as a server has it that led the servers of another one, until it was cut off from them. */
export class CutOffStream extends MemoryStream {
  readonly #whole: MemoryStream;
  /** The sequence of the newest entry that it knows. */
  #end = Infinity;

  constructor(whole: MemoryStream) {
    super();
    this.#whole = whole;
  }

  /** Cuts it off: it takes no entries any more, and says of itself what it knew. */
  cut(): void {
    this.#end = this.#whole.entries.at(-1)?.sequence ?? 0;
  }

  override append(bytes: Uint8Array, id: string): Promise<void> {
    return this.#end === Infinity ? this.#whole.append(bytes, id) : Promise.reject(new Error('timeout'));
  }

  override async extent(): Promise<StreamExtent> {
    const extent = await this.#whole.extent();
    return { ...extent, last: Math.min(extent.last, this.#end) };
  }

  override entry(sequence: number): Promise<StreamedEntry | undefined> {
    return this.#whole.entry(sequence);
  }

  override async *read(after: number, signal: AbortSignal): AsyncGenerator<StreamedEntry> {
    for await (const entry of this.#whole.read(after, signal)) {
      if (entry.sequence <= this.#end) yield entry;
    }
  }
}
