import { expect, test } from '@jest/globals';
import { CatchUp } from '../../src/log/order/catch-up.ts';
import { refusalOf } from '../support/log-contract/subject.ts';
import { until } from '../support/until.ts';

/** A stream of which a test answers each question itself. */
class AskedStream {
  readonly answers: { answer: (last: number) => void; fail: () => void }[] = [];

  readonly ask = (): Promise<number> =>
    new Promise((resolve, reject) => {
      this.answers.push({ answer: resolve, fail: () => reject(new Error('timeout')) });
    });

  /** Waits for a question, by its index. */
  async question(index: number): Promise<{ answer: (last: number) => void; fail: () => void }> {
    await until(() => this.answers.length > index, `question ${index}`);
    return this.answers[index] as { answer: (last: number) => void; fail: () => void };
  }
}

test('all clients that wait before a question share it, and go on when the node has reached the answer', async () => {
  const stream = new AskedStream();
  const catchUp = new CatchUp(stream.ask, 5);
  let settled = 0;
  const waits = Array.from({ length: 1000 }, () => catchUp.wait().then(() => settled++));
  (await stream.question(0)).answer(7);
  catchUp.reached(6);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(settled).toBe(0);
  catchUp.reached(7);
  await Promise.all(waits);
  expect(stream.answers).toHaveLength(1);
});

test('a client that comes during a question waits for the next one, since that answer may be older than its cursor', async () => {
  const stream = new AskedStream();
  const catchUp = new CatchUp(stream.ask, 5);
  const first = catchUp.wait();
  const question = await stream.question(0);
  let isSettled = false;
  const second = catchUp.wait().then(() => (isSettled = true));
  question.answer(5);
  await first;
  (await stream.question(1)).answer(6);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isSettled).toBe(false);
  catchUp.reached(6);
  await second;
});

test('questions to the stream follow each other with a pause, however many clients ask', async () => {
  const stream = new AskedStream();
  const catchUp = new CatchUp(stream.ask, 5);
  const began = performance.now();
  for (let round = 0; round < 3; round++) {
    const waits = [catchUp.wait(), catchUp.wait()];
    (await stream.question(round)).answer(5);
    await Promise.all(waits);
  }
  expect(performance.now() - began).toBeGreaterThan(150);
  expect(stream.answers).toHaveLength(3);
});

test.each<[string, (stream: AskedStream, catchUp: CatchUp) => Promise<void>]>([
  ['the stream cannot be asked', async (stream) => (await stream.question(0)).fail()],
  ['the stream does not answer', () => Promise.resolve()],
  ['the node does not get that far', async (stream) => (await stream.question(0)).answer(6)],
  [
    'the node no longer follows',
    async (stream, catchUp) => {
      await stream.question(0);
      catchUp.end();
    },
  ],
])('a waiting client is told that the node is behind if %s', async (_what, happen) => {
  const stream = new AskedStream();
  const catchUp = new CatchUp(stream.ask, 5, 100);
  const refused = refusalOf(catchUp.wait());
  await happen(stream, catchUp);
  expect(await refused).toMatchObject({ name: 'LogBehind', mayBeStored: false });
  // It is told so each time, and not left without an answer.
  expect(await refusalOf(catchUp.wait())).toMatchObject({ name: 'LogBehind' });
});

test('a question is not asked for those who have given up before it', async () => {
  const stream = new AskedStream();
  const catchUp = new CatchUp(stream.ask, 5, 10);
  const first = catchUp.wait();
  (await stream.question(0)).answer(5);
  await first;
  // They give up in the pause after the first question.
  while (stream.answers.length === 1) await refusalOf(catchUp.wait());
  expect(stream.answers).toHaveLength(2);
});
