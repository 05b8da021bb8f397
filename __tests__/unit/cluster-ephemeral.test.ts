import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Subscriber } from '../../src/hub/hub.ts';
import { ephemeral } from '../support/log-file.ts';
import { BusNode, MemoryBus } from '../support/memory-bus.ts';
import { sseFraming } from '../../src/sse/frame.ts';

let network: MemoryBus;
beforeEach(() => {
  jest.useFakeTimers({ now: 1_000_000 });
  network = new MemoryBus();
});
afterEach(() => {
  jest.useRealTimers();
});

/** A device that takes all messages for bob. */
function follow({ hub }: BusNode): string[] {
  const got: string[] = [];
  const subscriber: Subscriber = {
    inboxes: ['bob'],
    deliver: () => undefined,
    deliverEphemeral: (frames) => got.push(frames.in(sseFraming).toString()) > 0,
  };
  hub.add(subscriber);
  return got;
}

async function startNodes(...names: string[]): Promise<BusNode[]> {
  const nodes = names.map((name) => new BusNode(network, name).start());
  await jest.advanceTimersByTimeAsync(3000);
  return nodes;
}

const typing = (content: string) => ephemeral({ recipient: 'bob', sender: 'ann', content });

test('an ephemeral message reaches the devices of all nodes, in the same bytes, and is counted on all of them', async () => {
  const [one, two, three] = (await startNodes('one', 'two', 'three')) as [BusNode, BusNode, BusNode];
  const got = [follow(one), follow(two), follow(two), follow(three)];
  expect(await one.hub.dispatchEphemeral(typing('"hi"'))).toBe(4);
  expect(got[0]).toHaveLength(1);
  expect(got).toEqual(Array.from({ length: 4 }, () => got[0]));
  expect(one.hub.deliveries).toMatchObject({ ephemeral: 1, ephemeralDelivered: 1 });
  expect(two.hub.deliveries).toMatchObject({ ephemeral: 0, ephemeralDelivered: 2 });
});

test('a node that does not answer within 250 ms is not counted, and late answers are ignored', async () => {
  const [one, two, three] = (await startNodes('one', 'two', 'three')) as [BusNode, BusNode, BusNode];
  for (const node of [one, two, three]) follow(node);
  network.fate = (from) => (from === three.line ? [300] : [0]);
  let devices: number | undefined;
  void one.hub.dispatchEphemeral(typing('1')).then((count) => (devices = count));
  await jest.advanceTimersByTimeAsync(249);
  expect(devices).toBeUndefined();
  await jest.advanceTimersByTimeAsync(1);
  expect(devices).toBe(2);
  await jest.advanceTimersByTimeAsync(1000);
  expect(await one.peers.dispatchEphemeral(typing('2'), false)).toBe(0);
});

test('an ephemeral message reaches a node that was not heard yet, and nobody waits for that', async () => {
  const [one, two] = ['one', 'two'].map((name) => new BusNode(network, name).start()) as [BusNode, BusNode];
  expect(two.peers.others).toBe(0);
  const got = follow(one);
  expect(await two.hub.dispatchEphemeral(typing('1'))).toBe(0);
  await jest.advanceTimersByTimeAsync(0);
  expect(got).toHaveLength(1);
});

test('a content with characters that some readers take for line ends reaches other nodes, on one line', async () => {
  const [one, two] = (await startNodes('one', 'two')) as [BusNode, BusNode];
  const got = follow(one);
  await two.hub.dispatchEphemeral(typing('"a\u2028b\u2029c\u0085d"'), false);
  await jest.advanceTimersByTimeAsync(0);
  expect(got.join('')).toContain('"a\\u2028b\\u2029c\\u0085d"');
});

test('nobody waits for other nodes if the number of devices is not shown, or if there are none', async () => {
  const [one, two] = (await startNodes('one', 'two')) as [BusNode, BusNode];
  const got = follow(two);
  network.fate = (from) => (from === two.line ? [] : [0]);
  const answers = two.bus.counts.sent;
  expect(await one.hub.dispatchEphemeral(typing('1'), false)).toBe(0);
  expect(got).toHaveLength(1);
  expect(two.bus.counts.sent).toBe(answers);
  await jest.advanceTimersByTimeAsync(7000);
  expect(await one.hub.dispatchEphemeral(typing('2'))).toBe(0);
  one.line.isConnected = false;
  expect(await one.hub.dispatchEphemeral(typing('3'))).toBe(0);
});

test('ephemeral messages of a node reach a device of another one in the order in which they were sent', async () => {
  const [one, two] = (await startNodes('one', 'two')) as [BusNode, BusNode];
  const got = follow(two);
  const sent = Array.from({ length: 100 }, (_, index) =>
    one.hub.dispatchEphemeral(typing(`${index}`), index % 2 === 0),
  );
  await Promise.all(sent);
  expect(got.map((frame) => /"content":(\d+)/.exec(frame)?.[1])).toEqual(sent.map((_, index) => `${index}`));
});

test('an answer of a node is counted once, and only from a node that was there', async () => {
  const [one, two] = (await startNodes('one', 'two')) as [BusNode, BusNode];
  follow(two);
  const stranger = network.line();
  const answer = (from: string): void =>
    stranger.publish(
      Buffer.from(JSON.stringify({ from, log: 'log/1', kind: 'taken', of: 'one', id: 1, devices: 50 })),
    );
  network.fate = (from) => (from === two.line ? [100, 110] : [0]);
  const count = one.hub.dispatchEphemeral(typing('1'));
  answer('stranger');
  await jest.advanceTimersByTimeAsync(250);
  expect(await count).toBe(1);
});
