import { setTimeout as wait } from 'node:timers/promises';
import { LogBehind } from '../message-log.ts';

/** Nobody waits longer than this until the node has caught up. */
const CATCH_UP_MILLISECONDS = 5000;

/** The pause between two questions: clients with cursors that are ahead must not keep the stream's servers busy. */
const PAUSE_MILLISECONDS = 100;

/** Callers that wait for the answer to one question, and until this node has what it says. */
interface Round {
  /** The sequence that is waited for; infinite until it is known. */
  sequence: number;
  /** Ends the wait. Does nothing a second time. */
  settle: (error?: LogBehind) => void;
}

/**
 * Waits until this node has what its stream had. The end of the stream is found once for all callers of the time before the
 * search: one that was under way when a caller came may be older than what the caller has seen on another node.
 */
export class CatchUp {
  readonly #ask: () => Promise<number>;
  readonly #milliseconds: number;
  #through: number;
  /** The wait of those whose question is not sent yet. */
  #gathering: Promise<void> | undefined;
  /** Settles when the next question may be sent. */
  #mayAsk: Promise<unknown> = Promise.resolve();
  readonly #rounds = new Set<Round>();
  #isEnded = false;

  /**
   * @param ask returns a sequence that lies behind all that had its place when it was called
   * @param through the sequence of the entry that this node has handed on last
   * @param milliseconds the longest wait
   */
  constructor(ask: () => Promise<number>, through: number, milliseconds = CATCH_UP_MILLISECONDS) {
    this.#ask = ask;
    this.#through = through;
    this.#milliseconds = milliseconds;
  }

  /**
   * Settles when this node has handed on what the stream had at the time of the call.
   *
   * @throws {LogBehind} if that takes too long, or the stream cannot be asked
   */
  wait(): Promise<void> {
    if (this.#isEnded) return Promise.reject(behind());
    return (this.#gathering ??= this.#gather());
  }

  /**
   * Settles when this node has handed on a sequence.
   *
   * @throws {LogBehind} if the signal is aborted before, or this node does not catch up any more
   */
  reach(sequence: number, signal: AbortSignal): Promise<void> {
    if (sequence <= this.#through) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const giveUp = (): void => round.settle(behind());
      const round: Round = {
        sequence,
        settle: (error) => {
          signal.removeEventListener('abort', giveUp);
          if (!this.#rounds.delete(round)) return;
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#rounds.add(round);
      signal.addEventListener('abort', giveUp);
      if (signal.aborted || this.#isEnded) giveUp();
    });
  }

  /** Notes the sequence through which this node has handed on what it applied. */
  reached(through: number): void {
    this.#through = through;
    for (const { sequence, settle } of this.#rounds) if (sequence <= through) settle();
  }

  /** Ends all waits: this node does not catch up any more. */
  end(): void {
    this.#isEnded = true;
    for (const { settle } of this.#rounds) settle(behind());
  }

  #gather(): Promise<void> {
    const gathering = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => round.settle(behind()), this.#milliseconds);
      const round: Round = {
        sequence: Infinity,
        settle: (error) => {
          clearTimeout(timer);
          if (!this.#rounds.delete(round)) return;
          if (this.#gathering === gathering) this.#gathering = undefined;
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#rounds.add(round);
      void this.#askFor(round);
    });
    return gathering;
  }

  async #askFor(round: Round): Promise<void> {
    await this.#mayAsk;
    if (!this.#rounds.has(round)) return;
    this.#gathering = undefined;
    const asked = this.#ask();
    const pause = (): Promise<unknown> => wait(PAUSE_MILLISECONDS, undefined, { ref: false });
    this.#mayAsk = asked.then(pause, pause);
    try {
      round.sequence = await asked;
      if (round.sequence <= this.#through) round.settle();
    } catch {
      round.settle(behind());
    }
  }
}

function behind(): LogBehind {
  return new LogBehind('this node is behind the others, and cannot tell yet what comes after the cursor');
}
