/** A bus in memory, with the faults that a real one has: it loses, doubles, delays and reorders messages. */
import { pino } from 'pino';
import { Bus, type BusLine } from '../../src/cluster/bus.ts';
import { ClusterPeers } from '../../src/cluster/peers.ts';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import { Hub } from '../../src/hub/hub.ts';
import { Presence } from '../../src/hub/presence.ts';
import type { DigestAt } from '../../src/log/entry.ts';

/** The log whose nodes are on the bus. */
const LOG = { logId: 'log', generation: 1 };

/** A subject that all its lines share. */
export class MemoryBus {
  readonly lines = new Set<MemoryLine>();
  /** Returns, for a message to one receiver, after how many milliseconds each of its copies comes; none if it is lost. */
  fate: (from: MemoryLine, to: MemoryLine) => readonly number[] = () => [0];

  line(): MemoryLine {
    const line = new MemoryLine(this);
    this.lines.add(line);
    return line;
  }
}

/** The connection of a node to the bus. */
export class MemoryLine implements BusLine {
  isConnected = true;
  readonly #bus: MemoryBus;
  #onBytes: (bytes: Uint8Array) => void = () => undefined;

  constructor(bus: MemoryBus) {
    this.#bus = bus;
  }

  publish(bytes: Uint8Array): void {
    for (const line of this.#bus.lines) {
      for (const delay of this.#bus.fate(this, line)) {
        if (delay === 0) line.#take(bytes);
        else setTimeout(() => line.#take(bytes), delay);
      }
    }
  }

  subscribe(onBytes: (bytes: Uint8Array) => void): () => void {
    this.#onBytes = onBytes;
    return () => {
      this.#onBytes = () => undefined;
    };
  }

  #take(bytes: Uint8Array): void {
    if (this.isConnected) this.#onBytes(bytes);
  }
}

/** A node on the bus, without a log. */
export class BusNode {
  readonly line: MemoryLine;
  readonly bus: Bus;
  readonly peers: ClusterPeers;
  readonly presence: Presence;
  readonly hub: Hub;
  /** The lines of its log. */
  readonly lines: Record<string, unknown>[] = [];
  through = 0;
  digests: readonly DigestAt[] = [];
  /** Why it takes no publishes any more. */
  refused: string | undefined;
  /** The sequence of the newest entry in the stream; `undefined` if NATS does not answer. */
  last: number | undefined = 0;
  readonly #scheduler = new FairScheduler();

  constructor(network: MemoryBus, name: string, id = name) {
    this.line = network.line();
    this.bus = new Bus(this.line, id, LOG);
    const extent = () => {
      if (this.last === undefined) return Promise.reject(new Error('timeout'));
      return Promise.resolve({ ...LOG, first: 1, last: this.last });
    };
    this.peers = new ClusterPeers({
      bus: this.bus,
      name,
      order: this.#order(),
      stream: { extent },
      clock: { fault: undefined },
      retention: () => ({ days: 0, messages: 0 }),
      logger: pino(
        { base: null },
        { write: (line: string) => this.lines.push(JSON.parse(line) as Record<string, unknown>) },
      ),
      now: Date.now,
    });
    this.presence = new Presence(this.#scheduler, Date.now, this.peers);
    this.hub = new Hub(String, this.#scheduler, this.peers);
  }

  start(): this {
    const connections = { open: new Set(), ending: false };
    this.peers.start({
      hub: this.hub,
      presence: this.presence,
      scheduler: this.#scheduler,
      connections,
      log: { refusing: this.refused },
    });
    return this;
  }

  /** Applies entries up to a sequence, and comes to these digests at each thousandth. */
  apply(through: number, digest: string): void {
    this.through = through;
    const first = (this.digests.at(-1)?.sequence ?? 0) + 1000;
    const added: DigestAt[] = [];
    for (let sequence = first; sequence <= through; sequence += 1000) added.push({ sequence, digest });
    this.digests = [...this.digests, ...added].slice(-16);
  }

  /** The lines of its log of a level, by the name of that. */
  logged(level: 'warn' | 'error' | 'fatal'): Record<string, unknown>[] {
    return this.lines.filter((line) => line['level'] === pino.levels.values[level]);
  }

  #order(): ConstructorParameters<typeof ClusterPeers>[0]['order'] {
    const through = (): number => this.through;
    const digests = (): readonly DigestAt[] => this.digests;
    return {
      get through() {
        return through();
      },
      get digests() {
        return digests();
      },
      hears: true,
      unready: undefined,
      counts: { applied: 0, nothing: 0, retried: 0 },
      lose: ({ message }) => (this.refused = message),
    };
  }
}
