/** Clients that publish to a cluster and devices that read from it through a fault, and what all of them may rely on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { publish, type WireMessage } from './api.ts';
import type { Nodes } from './nodes.ts';
import { type Position, positionOf } from './position.ts';
import { headCursor, pullAll } from './pull.ts';
import type { Random } from './random.ts';
import { RoamingDevice } from './roaming-device.ts';
import { until, within } from './until.ts';

const CLIENTS = 8;
const DEVICES = 30;
const INBOXES = 10;

/** A client takes no answer within this time for none, and repeats its publish at another node. */
const ANSWER_MILLISECONDS = 5000;

/** After a fault: elections, nodes that start, entries that were missed. */
const RECOVERY_MILLISECONDS = 90_000;

/** The result of a fault, as clients and devices saw it. */
export interface Damage {
  readonly acknowledged: number;
  /** Acknowledged messages that a node does not have under the id that was acknowledged. */
  readonly lost: number;
  /** Messages that were stored more than once. */
  readonly twice: number;
  /** The longest time in which no client was answered. */
  readonly stallSeconds: number;
  /** All else that may not be; empty. */
  readonly faults: readonly string[];
}

/** A publish that was answered. */
interface Acknowledged {
  readonly key: string;
  readonly id: number;
}

/** Waits until all nodes have applied the same entries with the same outcome. */
export async function waitForEqualNodes(nodes: Nodes, milliseconds = RECOVERY_MILLISECONDS): Promise<void> {
  const positions = (): Position[] => nodes.indices.map((index) => positionOf(nodes.databaseOf(index)));
  const areEqual = (): boolean => new Set(positions().map((one) => JSON.stringify(one))).size === 1;
  try {
    await until(areEqual, 'nodes that are equal', milliseconds);
  } catch {
    throw new Error(`the nodes are not equal: ${JSON.stringify(positions())}`);
  }
}

/** Returns the message that is acknowledged in the end, repeating it at any of these nodes as long as it takes. */
export async function publishUntilStored(
  urls: readonly string[],
  random: Random,
  draft: { readonly idempotencyKey: string } & Record<string, unknown>,
): Promise<WireMessage> {
  for (;;) {
    const answer = await within(ANSWER_MILLISECONDS, publish(random.pick(urls), draft));
    if (answer?.status === 200 || answer?.status === 201) return answer.body as WireMessage;
    if (answer !== undefined && answer.status !== 503) {
      throw new Error(`${answer.status} for a publish: ${JSON.stringify(answer.body)}`);
    }
    if (answer !== undefined && !['no', 'unknown'].includes((answer.body as { stored: string }).stored)) {
      throw new Error(`a 503 that does not say what was stored: ${JSON.stringify(answer.body)}`);
    }
    await sleep(random.integer(20, 150));
  }
}

/** The load on a cluster during one fault. */
export class Chaos {
  readonly #nodes: Nodes;
  readonly #random: Random;
  readonly #name: string;
  readonly #acknowledged: Acknowledged[] = [];
  readonly #faults: string[] = [];
  #isEnding = false;
  #lastAnswer = performance.now();
  #stall = 0;

  private constructor(nodes: Nodes, random: Random, name: string) {
    this.#nodes = nodes;
    this.#random = random;
    this.#name = name;
  }

  /**
   * Publishes and reads without a pause, and meanwhile lets a fault happen; goes on until all nodes are well again.
   *
   * @param name begins the keys of the messages
   */
  static async through(
    nodes: Nodes,
    random: Random,
    name: string,
    fault: () => Promise<void>,
  ): Promise<Damage> {
    const chaos = new Chaos(nodes, random, name);
    const start = await headCursor(nodes.urlOf(0));
    const devices = Array.from(
      { length: DEVICES },
      (_, index) =>
        new RoamingDevice(nodes, random, index % 10 === 9 ? '*' : `inbox-${index % INBOXES}`, start),
    );
    chaos.#lastAnswer = performance.now();
    const clients = Array.from({ length: CLIENTS }, (_, index) => chaos.#publishAll(index));
    try {
      try {
        await chaos.#moveOn();
        await fault();
        await chaos.#moveOn();
        await chaos.#waitUntilWell();
      } finally {
        chaos.#isEnding = true;
        await within(RECOVERY_MILLISECONDS, Promise.all(clients));
      }
      chaos.#seeStall();
      return await chaos.#examine(start, devices);
    } finally {
      await Promise.all(devices.map((device) => device.stop()));
    }
  }

  async #publishAll(client: number): Promise<void> {
    try {
      for (let count = 1; !this.#isEnding; count++) {
        const key = `${this.#name}/${client}/${count}`;
        const recipient = `inbox-${this.#random.integer(0, INBOXES - 1)}`;
        const draft = { sender: `client-${client}`, recipient, content: key, idempotencyKey: key };
        const { id, content } = await publishUntilStored(this.#urls(), this.#random, draft);
        if (content !== key) this.#faults.push(`${key} was answered with ${JSON.stringify(content)}`);
        this.#acknowledged.push({ key, id });
        this.#seeStall();
        await sleep(this.#random.integer(0, 40));
      }
    } catch (error) {
      this.#faults.push(`client ${client}: ${(error as Error).message}`);
    }
  }

  #urls(): string[] {
    return this.#nodes.indices.map((index) => this.#nodes.urlOf(index));
  }

  #seeStall(): void {
    const now = performance.now();
    this.#stall = Math.max(this.#stall, now - this.#lastAnswer);
    this.#lastAnswer = now;
  }

  /** Waits until publishes are acknowledged. */
  async #moveOn(): Promise<void> {
    const before = this.#acknowledged.length;
    const isMoving = (): boolean =>
      this.#acknowledged.length >= before + 3 * CLIENTS || this.#faults.length > 0;
    await until(isMoving, `publishes to be acknowledged; ${this.#said()}`, RECOVERY_MILLISECONDS);
  }

  /** Waits until all nodes take part, at the same time. */
  async #waitUntilWell(): Promise<void> {
    const isReady = async (url: string): Promise<boolean> => {
      const answer = await within(2000, fetch(`${url}/readyz`));
      await answer?.body?.cancel();
      return answer?.status === 200;
    };
    const areReady = async (): Promise<boolean> =>
      (await Promise.all(this.#urls().map(isReady))).every(Boolean);
    await until(areReady, 'all nodes to be ready', RECOVERY_MILLISECONDS).catch(() => {
      throw new Error(`some node is not ready: ${this.#said()}`);
    });
  }

  async #examine(start: string, devices: readonly RoamingDevice[]): Promise<Damage> {
    await waitForEqualNodes(this.#nodes);
    // A node that heard nothing for 20 s may have noticed it only now. It becomes ready again by itself.
    await this.#waitUntilWell();
    const histories: WireMessage[][] = [];
    for (const index of this.#nodes.indices) {
      histories.push(await pullAll(this.#nodes.urlOf(index), '*', start));
    }
    const [first = [], ...others] = histories;
    for (const [index, other] of others.entries()) {
      if (JSON.stringify(other) !== JSON.stringify(first)) {
        this.#faults.push(`node ${index + 1} has another history than node 0`);
      }
    }
    await Promise.all(devices.map((device) => device.end(first)));
    const ids = new Map(first.map((message) => [message.idempotencyKey, message.id]));
    return {
      acknowledged: this.#acknowledged.length,
      lost: this.#acknowledged.filter(({ key, id }) => ids.get(key) !== id).length,
      twice: first.length - ids.size,
      stallSeconds: this.#stall / 1000,
      faults: [...this.#faults, ...devices.flatMap(({ faults }) => faults)],
    };
  }

  #said(): string {
    const last = this.#nodes.indices.map((index) => {
      const { code, stderr } = this.#nodes.lastWords(index);
      return `node ${index}${code === undefined ? '' : ` (ended with ${code})`}: ${stderr.slice(-600)}`;
    });
    return last.join('\n');
  }
}
