import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { FairScheduler } from '../../src/fair-scheduler.ts';
import { Notifier } from '../../src/push/notifier.ts';
import type { PreparedPush, PushSender, SendOutcome } from '../../src/push/push-sender.ts';
import { draft } from '../support/log-file.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryStream } from '../support/memory-stream.ts';
import { until } from '../support/until.ts';
import { subscription } from '../support/push-subscription.ts';

/** A node whose notifications go to a list. */
class Node {
  readonly memory: MemoryLog;
  readonly notifier: Notifier;
  /** The notifications that the push service has from this node. */
  readonly sent: string[] = [];
  /** Settles when the push service answers. */
  answered: Promise<unknown> = Promise.resolve();
  #isPaused = false;

  constructor(stream: MemoryStream) {
    this.memory = new MemoryLog({ now: Date.now, stream });
    const { log } = this.memory;
    const sender = {
      waiting: 0,
      pause: () => (this.#isPaused = true),
      resume: () => (this.#isPaused = false),
      close: () => Promise.resolve(),
      send: (_endpoint: string, prepare: () => Promise<PreparedPush>) => this.#send(prepare),
    } as unknown as PushSender;
    const logger = pino({ level: 'silent' });
    const parts = { log, pushStore: log.pushStore, sender, changes: log, delaySeconds: 0 };
    this.notifier = new Notifier({ ...parts, scheduler: new FairScheduler(), logger, now: Date.now });
    this.notifier.start();
    nodes.push(this);
  }

  async put(content: string, fields: Partial<Parameters<typeof draft>[0]> = {}): Promise<number> {
    await until(() => this.memory.log.refusing === undefined, 'the stream');
    const [stored] = await this.memory.log.append([draft({ content: JSON.stringify(content), ...fields })]);
    return stored?.message.id ?? 0;
  }

  get through(): number {
    return this.memory.log.pushStore.subscription(1)?.through ?? 0;
  }

  #dropsAll(): boolean {
    return this.#isPaused;
  }

  async #send(prepare: () => Promise<PreparedPush>): Promise<SendOutcome> {
    if (this.#isPaused) return { kind: 'dropped' };
    const prepared = await prepare();
    if (prepared === undefined) return { kind: 'unneeded' };
    if (prepared === 'later') return { kind: 'failed', retryAfter: undefined };
    await this.answered;
    if (this.#dropsAll()) return { kind: 'dropped' };
    const { type, content, through } = JSON.parse(prepared.push.payload) as Record<string, unknown>;
    this.sent.push(type === 'read' ? `read ${String(through)}` : String(content));
    return { kind: 'sent' };
  }
}

let nodes: Node[] = [];
afterEach(async () => {
  await Promise.all(nodes.map(({ notifier }) => notifier.close(0)));
  await Promise.all(nodes.map(({ memory }) => memory.close()));
  nodes = [];
});

test('the holder notifies of messages and devices of any node, and the next holder goes on', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  one.notifier.resume();
  await until(() => other.memory.log.refusing === undefined, 'the stream');
  await other.notifier.subscribe(subscription('bob'));
  await until(() => one.notifier.subscriptions === 1, 'the subscription');
  expect(other.notifier.subscriptions).toBe(1);
  await other.put('first');
  await until(() => one.sent.length === 1, 'the first');
  await until(() => other.through === 1, 'its record');
  // Nobody holds the lease for a while.
  one.notifier.pause();
  await one.put('second', { sender: 'carol' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([one.sent, other.sent]).toEqual([['first'], []]);
  other.notifier.resume();
  await until(() => other.sent.length === 1, 'the second');
  await until(() => one.through === 2, 'its record');
  // A read marker on the other node closes a notification.
  await one.put('', { sender: 'bob', recipient: 'carol', type: 'read', content: '{"messageId":2}' });
  await until(() => other.sent.length === 2, 'the notice that it was read');
  expect([one.sent, other.sent]).toEqual([['first'], ['second', 'read 2']]);
});

test('a notification that is in flight when the lease is lost is sent once, by the next holder', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  await until(() => one.memory.log.refusing === undefined, 'the stream');
  await one.notifier.subscribe(subscription('bob'));
  one.notifier.resume();
  let answer: (value?: unknown) => void = () => undefined;
  one.answered = new Promise((resolve) => (answer = resolve));
  await one.put('hi');
  await new Promise((resolve) => setTimeout(resolve, 50));
  one.notifier.pause();
  answer();
  await until(() => other.notifier.subscriptions === 1, 'the subscription');
  other.notifier.resume();
  await until(() => one.through === 1, 'the record of the next holder');
  expect([one.sent, other.sent]).toEqual([[], ['hi']]);
  // The first one holds it again, and finds nothing to do but what is new.
  other.notifier.pause();
  one.answered = Promise.resolve();
  one.notifier.resume();
  await other.put('again');
  await until(() => one.sent.length === 1, 'the next one');
  expect([one.sent, other.sent]).toEqual([['again'], ['hi']]);
});

test('a subscription that is removed on one node is counted on no node', async () => {
  const stream = new MemoryStream();
  const [one, other] = [new Node(stream), new Node(stream)];
  await until(() => one.memory.log.refusing === undefined, 'the stream');
  await one.notifier.subscribe(subscription('bob'));
  await one.notifier.subscribe(subscription('carol'));
  await until(() => other.notifier.subscriptions === 2, 'both');
  await one.notifier.unsubscribe('https://push.example/1', 'bob');
  await until(() => other.notifier.subscriptions === 1, 'one');
  expect(one.notifier.subscriptions).toBe(1);
});
