/**
 * Headless Firefox with a new profile, driven by WebDriver BiDi (W3C): only what it takes to look into a
 * page.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { newFolder, undoAtEnd } from './server.ts';
import { until } from './until.ts';

const FIREFOX = process.env['FIREFOX'] ?? '/usr/bin/firefox-esr';

/** Whether there is a Firefox; CI must have one. */
export const HAS_FIREFOX = existsSync(FIREFOX) || process.env['CI'] === 'true';
if (!HAS_FIREFOX) {
  process.stderr.write(
    `Tests that need Firefox are skipped: apt-get install firefox-esr, or set FIREFOX to its path.\n`,
  );
}

interface Answer {
  readonly id?: number;
  readonly type: 'success' | 'error' | 'event';
  readonly result?: unknown;
  readonly message?: string;
}

export class Firefox {
  readonly #child: ChildProcess;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #commands = 0;

  private constructor(child: ChildProcess, socket: WebSocket) {
    this.#child = child;
    this.#socket = socket;
    socket.on('message', (bytes: Buffer) => {
      const answer = JSON.parse(bytes.toString()) as Answer;
      this.#waiting.get(answer.id ?? 0)?.(answer);
      this.#waiting.delete(answer.id ?? 0);
    });
  }

  /**
   * Starts Firefox. `cleanUp` ends it, if the test does not.
   *
   * @param preferences by name, as in `about:config`
   */
  static async launch(preferences: Readonly<Record<string, boolean | number>> = {}): Promise<Firefox> {
    const profile = newFolder();
    const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${value});\n`);
    writeFileSync(join(profile, 'user.js'), lines.join(''));
    const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
    const child = spawn(FIREFOX, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    undoAtEnd(() => child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const address = (): string | undefined => /WebDriver BiDi listening on (ws:\S+)/.exec(said)?.[1];
    await until(() => address() !== undefined || child.exitCode !== null, 'Firefox to listen');
    if (address() === undefined) throw new Error(`Firefox ended: ${said}`);
    const socket = new WebSocket(`${address()}/session`);
    await once(socket, 'open');
    const firefox = new Firefox(child, socket);
    await firefox.#ask('session.new', { capabilities: {} });
    return firefox;
  }

  /**
   * Opens a page in a window of its own, so that it is visible.
   *
   * @returns a function that evaluates an expression in the page, whose value must be text
   */
  async open(url: string): Promise<(expression: string) => Promise<string>> {
    const { context } = (await this.#ask('browsingContext.create', { type: 'window' })) as {
      context: string;
    };
    await this.#ask('browsingContext.navigate', { context, url, wait: 'complete' });
    return async (expression) => {
      const target = { context };
      const answer = await this.#ask('script.evaluate', { expression, target, awaitPromise: true });
      const { type, result, exceptionDetails } = answer as {
        type: string;
        result?: { value: unknown };
        exceptionDetails?: { text: string };
      };
      if (typeof result?.value !== 'string')
        throw new Error(`${expression}: ${exceptionDetails?.text ?? type}`);
      return result.value;
    };
  }

  /** Ends Firefox. */
  async close(): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#socket.terminate();
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** @throws {Error} with what Firefox says, if it refuses */
  async #ask(method: string, params: Record<string, unknown>): Promise<unknown> {
    const id = ++this.#commands;
    const { type, result, message } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    if (type !== 'success') throw new Error(`${method}: ${message ?? type}`);
    return result;
  }
}
