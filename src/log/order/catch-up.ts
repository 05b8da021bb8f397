import { setTimeout as wait } from 'node:timers/promises';
import { LogBehind } from '../message-log.ts';

/** The longest wait for the node to catch up. */
const CATCH_UP_MILLISECONDS = 5000;

/**
 * The pause between two searches for the end of the stream: clients with cursors that are ahead must not keep its
 * servers busy.
 */
const PAUSE_MILLISECONDS = 100;

/** Callers that wait for the result of one search, and then for this node to reach it. */
interface Round {
  /** The sequence to wait for; `Infinity` until it is known. */
  sequence: number;
  /** Ends the wait. Does nothing a second time. */
  settle: (error?: LogBehind) => void;
}

/**
 * Waits until this node has reached the end of its stream. One search for the end serves all callers that came before
 * it began. A search already under way does not serve a new caller: its result may be older than what the caller has
 * seen on another node.
 */
export class CatchUp {
  readonly #ask: () => Promise<number>;
  readonly #milliseconds: number;
  #through: number;
  /** The wait shared by callers whose search has not begun. */
  #gathering: Promise<void> | undefined;
  /** Settles when the next search may begin. */
  #mayAsk: Promise<unknown> = Promise.resolve();
  readonly #rounds = new Set<Round>();
  #isEnded = false;

  /**
   * @param ask finds the end of the stream: returns a sequence that no entry placed before the call exceeds
   * @param through the sequence of the last entry that this node has delivered
   * @param milliseconds the longest wait
   */
  constructor(ask: () => Promise<number>, through: number, milliseconds = CATCH_UP_MILLISECONDS) {
    this.#ask = ask;
    this.#through = through;
    this.#milliseconds = milliseconds;
  }

  /**
   * Waits until this node has delivered everything that the stream had at the time of the call.
   *
   * @throws {LogBehind} if that takes too long, or the end of the stream cannot be found
   */
  wait(): Promise<void> {
    if (this.#isEnded) return Promise.reject(behind());
    return (this.#gathering ??= this.#gather());
  }

  /**
   * Waits until this node has delivered the entry with a sequence.
   *
   * @throws {LogBehind} if the signal is aborted first, or this node has stopped catching up
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

  /** Records the sequence up to which this node has delivered entries. */
  reached(through: number): void {
    this.#through = through;
    for (const { sequence, settle } of this.#rounds) if (sequence <= through) settle();
  }

  /** Ends all waits, since this node stops catching up. */
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
