import { type Draft, type Message, type MessageTimes, withId } from '../message.ts';
import type { AppendOutcome, AppendsOutcome } from './entry.ts';
import { BatchRefused, type Stored } from './message-log.ts';

/** The answer to a batch: each draft as it is in the log, or the reason why none of them was stored. */
export type Answer = Stored[] | BatchRefused;

/** The messages that an append created, and the answers to its batches. */
export interface Answers {
  /** One per batch, in order. */
  readonly answers: readonly Answer[];
  /** The new messages, in id order. */
  readonly fresh: readonly Message[];
  /** The number of batches that stored something, and of batches in which nothing was new. */
  readonly stored: number;
  readonly repeated: number;
}

/**
 * Creates the messages and answers of an append from its drafts and its outcome.
 *
 * @param time the time of its entry, in milliseconds since the Unix epoch
 */
export function answersOf(
  batches: readonly (readonly Draft[])[],
  outcome: AppendsOutcome,
  time: number,
): Answers {
  const at = { time, createdAt: outcome.createdAt };
  const fresh: Message[] = [];
  let stored = 0;
  let repeated = 0;
  const answers = batches.map((batch, index): Answer => {
    const result = outcome.results[index] ?? [];
    if ('fault' in result) return new BatchRefused(result);
    const before = fresh.length;
    const answer = batch.map((draft, place) => {
      const one = storedAs(result[place] as AppendOutcome, at, draft);
      if (one.isNew) fresh.push(one.message);
      return one;
    });
    if (fresh.length > before) stored++;
    else repeated++;
    return answer;
  });
  return { answers, fresh, stored, repeated };
}

/** Returns a draft as it is in the log. */
function storedAs(outcome: AppendOutcome, times: MessageTimes, draft: Draft): Stored {
  if (typeof outcome === 'number') return { message: withId(outcome, times, draft), isNew: true };
  return 'changed' in outcome
    ? { message: outcome.changed, isNew: true }
    : { message: outcome, isNew: false };
}
