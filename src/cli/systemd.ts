import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The program of systemd that passes messages on. */
const PROGRAM = 'systemd-notify';

/** It waits up to five seconds until systemd has read the message. */
const SEND_MILLISECONDS = 10_000;

/** The time that the service waits for its last message before it ends. */
const LAST_MILLISECONDS = 1000;

/** The variables that systemd sets for a service (sd_notify(3), sd_watchdog_enabled(3)). */
type Environment = Readonly<Record<string, string | undefined>>;

/** Passes a message on, within a time. @throws {Error} if that fails */
type Send = (message: string, milliseconds: number) => Promise<void>;

/** The options of `Systemd`. */
export interface SystemdOptions {
  readonly environment: Environment;
  /** Called with the first error, which means that systemd was not notified. */
  readonly onFault: (error: Error) => void;
  /** Replaces the program of systemd in tests. */
  readonly send?: Send;
}

/**
 * The notifications to systemd: the service is ready, alive or stopping. None is sent if systemd has not asked for them.
 *
 * Node has no Unix datagram sockets, and a compiled module for them would be the only one besides SQLite's. So each message
 * is sent by `systemd-notify`, a process of a few milliseconds that runs twice in each WatchdogSec. It waits until systemd
 * has read the message: systemd could not tell otherwise which service sent it. The unit needs NotifyAccess=all.
 */
export class Systemd {
  readonly #send: Send | undefined;
  readonly #onFault: (error: Error) => void;
  /** Half of the time after which systemd considers the service dead; `undefined` if systemd does not watch it. */
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
   * Tells systemd that the service is ready, and from then on that it is alive, as long as the event loop runs and `probe`
   * settles.
   *
   * @param probe tries the writer. A failure counts as alive: a restart does not fix a full disk
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

  /** Tells systemd that the service is stopping, and nothing after that. */
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
