import type { FairScheduler } from '../fair-scheduler.ts';
import type { Bus } from './bus.ts';
import type { Devices, PresenceMessage } from './bus-message.ts';
import { type AddressRoom, MAX_OF_ALL, RemoteDevices } from './remote-devices.ts';

/** The time for which changes of this node are collected. */
const GATHER_MILLISECONDS = 200;

/**
 * The maximum number of characters in a message. Each may be four bytes, and this keeps it far below the servers'
 * limit.
 */
const MAX_CHARACTERS = 32 * 1024;

/** The number of characters around an address in a message, including its count. */
const PAIR_CHARACTERS = 8;

/** The time after which a node is asked again for all of its devices if it has not answered. */
const ASK_AGAIN_MILLISECONDS = 2000;

/** The number of other nodes' addresses changed in one step. */
const STEP = 100;

/** The presence of this node, which also includes the devices of other nodes. */
export interface PresenceElsewhere {
  /** @param changes the change of each address's number of devices: negative if there are fewer */
  changeElsewhere(changes: Iterable<Devices>): void;
}

/** The options of shared presence. */
export interface SharedPresenceOptions {
  readonly bus: Bus;
  readonly scheduler: Pick<FairScheduler, 'run'>;
  readonly presence: PresenceElsewhere;
}

/**
 * The devices of all nodes. Each node reports the number of devices that follow an address whenever it changes. These
 * messages are numbered, and heartbeats carry the newest number, so a receiver that has missed one notices, and asks
 * for all devices. Counts are absolute, so a message does no harm if it arrives twice or during a full report.
 */
export class SharedPresence {
  readonly #bus: Bus;
  /** The number of this node's devices that follow each address. */
  readonly #own = new Map<string, number>();
  readonly #changed = new Set<string>();
  readonly #remote = new Map<string, RemoteDevices>();
  readonly #room: AddressRoom = { taken: 0 };
  /** The number of received addresses that are not processed yet. */
  #waiting = 0;
  #started: SharedPresenceOptions | undefined;
  #number = 0;
  #gathering: NodeJS.Timeout | undefined;
  #telling: NodeJS.Timeout | undefined;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** The number of the newest message of this node. */
  get number(): number {
    return this.#number;
  }

  /** Notes that a connection of this node that follows these addresses was opened. */
  joined(addresses: readonly string[]): void {
    for (const address of addresses) this.#own.set(address, (this.#own.get(address) ?? 0) + 1);
    this.#note(addresses);
  }

  /** Notes that a connection of this node that followed these addresses was closed. */
  left(addresses: readonly string[]): void {
    for (const address of addresses) {
      const devices = (this.#own.get(address) ?? 0) - 1;
      if (devices > 0) this.#own.set(address, devices);
      else this.#own.delete(address);
    }
    this.#note(addresses);
  }

  /** Starts reporting to other nodes and handling their reports. */
  start(options: SharedPresenceOptions): void {
    this.#started = options;
  }

  /** Stops reporting to other nodes and handling their reports. */
  stop(): void {
    clearTimeout(this.#gathering);
    clearTimeout(this.#telling);
    this.#started = undefined;
  }

  /**
   * Handles the number of a node's newest message, from its heartbeat. Asks the node for its devices if a message is
   * missing.
   */
  beat(node: string, number: number): void {
    let remote = this.#remote.get(node);
    if (remote === undefined) this.#remote.set(node, (remote = new RemoteDevices(this.#room)));
    if (number > remote.number) remote.lose();
    remote.number = Math.max(number, remote.number);
    if (remote.isComplete) return;
    const now = performance.now();
    if (now - remote.askedAt < ASK_AGAIN_MILLISECONDS) return;
    remote.askedAt = now;
    this.#bus.send({ kind: 'ask', of: node });
  }

  /**
   * Handles a report of a node, in steps. Does nothing if the node has sent no heartbeat, or the report is not new.
   * Addresses beyond the limits are ignored. If reports arrive faster than they can be processed, some count as lost.
   */
  told(node: string, message: PresenceMessage): void {
    const { number, devices, begins = false, ends = false } = message;
    const remote = this.#remote.get(node);
    if (this.#started === undefined || remote === undefined || number <= remote.number) return;
    if (number !== remote.number + 1) remote.lose();
    remote.number = number;
    if (this.#waiting + devices.length > MAX_OF_ALL) {
      remote.lose();
      this.#bus.counts.ignored++;
      return;
    }
    if (begins) remote.isBeingTold = true;
    const isLast = remote.isBeingTold && ends;
    if (remote.isBeingTold) remote.askedAt = performance.now();
    if (isLast) Object.assign(remote, { isBeingTold: false, isComplete: true });
    this.#waiting += devices.length;
    void this.#started.scheduler.run(this.#take(remote, message, isLast));
  }

  /** Removes the devices of a node that has ended or is silent. */
  gone(node: string): void {
    const remote = this.#remote.get(node);
    if (remote === undefined) return;
    this.#remote.delete(node);
    void this.#started?.scheduler.run(this.#drop(remote));
  }

  /**
   * Reports all devices of this node, since another node asks for them. Requests that arrive together get one answer.
   */
  asked(): void {
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      void this.#started?.scheduler.run(this.#tellAll());
    }, Math.random() * GATHER_MILLISECONDS).unref();
  }

  *#take(remote: RemoteDevices, { devices, begins }: PresenceMessage, isLast: boolean): Generator {
    if (begins === true) remote.begin();
    let ignored = 0;
    const changes = function* (): Generator<Devices> {
      for (const [address, count] of devices) {
        const change = remote.set(address, count);
        if (change === undefined) ignored++;
        yield [address, change ?? 0];
      }
    };
    yield* this.#change(changes());
    this.#waiting -= devices.length;
    if (ignored > 0) this.#bus.counts.ignored++;
    if (isLast) yield* this.#change(remote.end());
  }

  /** Removes a node's devices. Its earlier messages are processed by now, since jobs run one after the other. */
  *#drop(remote: RemoteDevices): Generator {
    yield* this.#change(remote.clear());
  }

  /** Changes the devices of addresses, in steps. */
  *#change(changes: Iterable<Devices>): Generator {
    let part: Devices[] = [];
    let looked = 0;
    for (const change of changes) {
      if (change[1] !== 0) part.push(change);
      if (++looked % STEP !== 0) continue;
      this.#changeNow(part);
      part = [];
      yield;
    }
    this.#changeNow(part);
  }

  #changeNow(changes: readonly Devices[]): void {
    if (changes.length > 0) this.#started?.presence.changeElsewhere(changes);
  }

  #note(addresses: readonly string[]): void {
    for (const address of addresses) this.#changed.add(address);
    this.#gather();
  }

  #gather(): void {
    if (this.#changed.size === 0) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      // Nothing is lost while disconnected: all changes are reported once there is a connection again.
      if (this.#bus.isConnected) void this.#started?.scheduler.run(this.#tellChanges());
      else this.#gather();
    }, GATHER_MILLISECONDS).unref();
  }

  *#tellChanges(): Generator {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const devices of this.#parts(changed)) {
      this.#send({ devices });
      yield;
    }
  }

  *#tellAll(): Generator {
    let begins = true;
    let last: Devices[] = [];
    for (const devices of this.#parts(this.#own.keys())) {
      if (last.length > 0) {
        this.#send({ devices: last, begins });
        begins = false;
        yield;
      }
      last = devices;
    }
    this.#send({ devices: last, begins, ends: true });
  }

  /** Divides addresses into lists that fit into one message each, with the current counts. */
  *#parts(addresses: Iterable<string>): Generator<Devices[]> {
    let devices: Devices[] = [];
    let characters = 0;
    for (const address of addresses) {
      devices.push([address, this.#own.get(address) ?? 0]);
      characters += address.length + PAIR_CHARACTERS;
      if (characters < MAX_CHARACTERS) continue;
      yield devices;
      devices = [];
      characters = 0;
    }
    if (devices.length > 0) yield devices;
  }

  #send(message: Omit<PresenceMessage, 'kind' | 'number'>): void {
    this.#number++;
    this.#bus.send({ kind: 'presence', number: this.#number, ...message });
  }
}
