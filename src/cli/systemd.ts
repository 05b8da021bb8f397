import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The program of systemd that passes messages on. */
const PROGRAM = 'systemd-notify';

/** It waits up to five seconds until systemd has read the message. */
const SEND_MILLISECONDS = 10_000;

/** The end of the service does not wait for longer. */
const LAST_MILLISECONDS = 1000;

/** The variables that systemd sets for a service (sd_notify(3), sd_watchdog_enabled(3)). */
type Environment = Readonly<Record<string, string | undefined>>;

/** Passes a message on, within a time. @throws {Error} if that fails */
type Send = (message: string, milliseconds: number) => Promise<void>;

/** What systemd is told of this process. */
export interface SystemdOptions {
  readonly environment: Environment;
  /** Called with the first error: systemd is not told then. */
  readonly onFault: (error: Error) => void;
  /** Another way than the program of systemd, for tests. */
  readonly send?: Send;
}

/**
 * Tells systemd that the service is ready, alive or stopping. Does nothing if systemd has not asked for that.
 *
 * Node has no datagram sockets of Unix, and a compiled module for them would be the only one beside SQLite's. So each message
 * is passed on by `systemd-notify`, a process of a few milliseconds, every half of WatchdogSec. It waits until systemd has
 * read the message, which it could otherwise not tell from whom it is. The unit needs NotifyAccess=all for it.
 */
export class Systemd {
  readonly #send: Send | undefined;
  readonly #onFault: (error: Error) => void;
  /** Half of the time after which systemd takes the service for dead; `undefined` if it does not. */
  readonly #watchMilliseconds: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isStopping = false;
  #hasFailed = false;

  constructor({ environment, onFault, send = sendByProgram }: SystemdOptions) {
    const { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: period = '', WATCHDOG_PID: pid } = environment;
    this.#onFault = onFault;
    this.#send = socket === '' ? undefined : send;
    const isWatched = this.#send !== undefined && (pid === undefined || pid === String(process.pid));
    const milliseconds = Math.floor(Number(period) / 2000);
    this.#watchMilliseconds = isWatched && milliseconds > 0 ? milliseconds : undefined;
  }

  /**
   * Tells that the service is ready, and from then on that it is alive, for as long as its event loop turns and `probe` comes
   * back.
   *
   * @param probe tries the writer; whether that fails does not matter: a restart mends no full disk
   */
  async ready(probe: () => Promise<unknown>): Promise<void> {
    await this.#tell('READY=1');
    if (this.#watchMilliseconds === undefined) return;
    let isBusy = false;
    this.#timer = setInterval(() => {
      if (isBusy) return;
      isBusy = true;
      void probe()
        .catch(() => undefined)
        .then(() => (this.#isStopping ? undefined : this.#tell('WATCHDOG=1')))
        .finally(() => (isBusy = false));
    }, this.#watchMilliseconds).unref();
  }

  /** Tells that the service ends, and nothing more after that. */
  async stopping(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#timer);
    await this.#tell('STOPPING=1', LAST_MILLISECONDS);
  }

  async #tell(message: string, milliseconds = SEND_MILLISECONDS): Promise<void> {
    try {
      await this.#send?.(message, milliseconds);
    } catch (error) {
      if (!this.#hasFailed) this.#onFault(error as Error);
      this.#hasFailed = true;
    }
  }
}

async function sendByProgram(message: string, milliseconds: number): Promise<void> {
  await promisify(execFile)(PROGRAM, [message], { timeout: milliseconds });
}
