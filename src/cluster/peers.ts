import type { Logger } from 'pino';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { Hub } from '../hub/hub.ts';
import type { Peers } from '../hub/peers.ts';
import type { EntryStream } from '../log/order/entry-stream.ts';
import type { JetStreamOrder } from '../log/order/jetstream.ts';
import type { Retention } from '../log/retention.ts';
import type { EphemeralMessage } from '../message.ts';
import type { Bus } from './bus.ts';
import type { BusMessage } from './bus-message.ts';
import type { ClockCheck } from './clock-check.ts';
import { ClusterStatus, type ClusterView, type StatusSources } from './status.ts';
import { EphemeralRelay } from './ephemeral-relay.ts';
import { Members } from './members.ts';
import { type PresenceElsewhere, SharedPresence } from './shared-presence.ts';
import { tidingsVersion } from '../version.ts';

/** The options of `ClusterPeers`. */
export interface PeersOptions {
  readonly bus: Bus;
  /** The name of this node, for people. */
  readonly name: string;
  readonly stream: Pick<EntryStream, 'extent'>;
  readonly order: Pick<JetStreamOrder, 'through' | 'digests' | 'hears' | 'counts' | 'lose' | 'unready'>;
  readonly clock: Pick<ClockCheck, 'fault'>;
  /** Returns the retention of the cluster, as this node knows it. */
  readonly retention: () => Retention;
  readonly logger: Logger;
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** The sources of the other facts in `GET /cluster`. */
  readonly sources?: StatusSources;
}

/** The parts of this node that interact with other nodes. */
export interface LocalParts {
  readonly hub: Pick<Hub, 'dispatchEphemeralHere'>;
  readonly presence: PresenceElsewhere;
  readonly scheduler: Pick<FairScheduler, 'run'>;
  readonly connections: { readonly open: { readonly size: number }; readonly ending: boolean };
  readonly log: { readonly refusing: string | undefined };
}

/** The other nodes of a cluster: which are live, which of their devices are online, and the messages to them. */
export class ClusterPeers implements Peers {
  readonly #options: PeersOptions;
  readonly #members: Members;
  readonly #presence: SharedPresence;
  readonly #relay: EphemeralRelay;
  readonly #status: ClusterStatus;
  #parts: LocalParts | undefined;
  #stopListening: () => void = () => undefined;

  constructor(options: PeersOptions) {
    this.#options = options;
    const { bus, name, order, retention, stream, logger, now, sources = {} } = options;
    this.#presence = new SharedPresence(bus);
    this.#members = new Members({
      bus,
      name,
      version: tidingsVersion(),
      since: now(),
      logger,
      read: () => ({
        through: order.through,
        digests: order.digests,
        connections: this.#parts?.connections.open.size ?? 0,
        unready: this.#unready ?? null,
        retention: retention(),
        presence: this.#presence.number,
      }),
      onBeat: ({ id, presence }) => this.#presence.beat(id, presence),
      onGone: (id) => this.#presence.gone(id),
      onDiverged: (why) => order.lose(new Error(why)),
    });
    this.#relay = new EphemeralRelay({
      bus,
      others: () => this.#members.others.map(({ id }) => id),
      dispatchHere: async (message) => (await this.#parts?.hub.dispatchEphemeralHere(message)) ?? 0,
    });
    this.#status = new ClusterStatus({ members: this.#members, order, stream, sources });
  }

  /** Starts sending to other nodes and handling their messages. */
  start(parts: LocalParts): void {
    const { bus } = this.#options;
    this.#parts = parts;
    this.#presence.start({ bus, ...parts });
    this.#stopListening = bus.listen((from, message) => this.#received(from, message));
    this.#members.start();
  }

  /** Tells the other nodes that this one is ending, and stops sending and handling messages. */
  stop(): void {
    this.#stopListening();
    this.#presence.stop();
    this.#members.stop();
  }

  joined(addresses: readonly string[]): void {
    this.#presence.joined(addresses);
  }

  left(addresses: readonly string[]): void {
    this.#presence.left(addresses);
  }

  dispatchEphemeral(message: EphemeralMessage, isCounted: boolean): Promise<number> {
    return this.#relay.send(message, isCounted);
  }

  /** The number of other live nodes. */
  get others(): number {
    return this.#members.others.length;
  }

  /** The number of times that a node's state was found to differ from the majority's or this node's. */
  get mismatches(): number {
    return this.#members.mismatches;
  }

  /** The sequences applied by all nodes seen recently; `undefined` if some may be unknown. */
  get positions(): readonly number[] | undefined {
    return this.#members.positions;
  }

  get hears(): boolean {
    return this.#options.order.hears;
  }

  get entries(): JetStreamOrder['counts'] {
    return this.#options.order.counts;
  }

  get bus(): Bus['counts'] {
    return this.#options.bus.counts;
  }

  /** Returns the number of entries of the stream that this node has not applied; NaN if it is unknown. */
  lag(): Promise<number> {
    return this.#status.lag();
  }

  /** Returns the data of `GET /cluster`. Does not reject if NATS does not answer. */
  view(): Promise<ClusterView> {
    return this.#status.view();
  }

  /** Why this node is not ready; `undefined` if it is. */
  get #unready(): string | undefined {
    const { order, clock } = this.#options;
    if (this.#parts === undefined) return 'it is starting';
    const { log, connections } = this.#parts;
    if (connections.ending) return 'it is shutting down';
    return log.refusing ?? order.unready ?? clock.fault;
  }

  #received(from: string, message: BusMessage): void {
    switch (message.kind) {
      case 'beat':
        this.#members.heard(from, message);
        break;
      case 'bye':
        this.#members.left(from);
        break;
      case 'ask':
        if (message.of === this.#options.bus.id) this.#presence.asked();
        break;
      case 'presence':
        this.#presence.told(from, message);
        break;
      case 'ephemeral':
        void this.#relay.received(from, message.message, message.id);
        break;
      case 'taken':
        if (message.of === this.#options.bus.id) this.#relay.taken(from, message.id, message.devices);
        break;
    }
  }
}
