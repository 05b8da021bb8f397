/** A fault of the system under a server that runs: strace answers its calls in the system's place. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { newFolder, type Server, undoAtEnd } from './server.ts';
import { until } from './until.ts';

export class SystemFault {
  readonly #strace: ChildProcess;

  private constructor(strace: ChildProcess) {
    this.#strace = strace;
  }

  /**
   * From now on system calls fail.
   *
   * @param calls their names, with commas
   * @param error the name of an `errno`
   * @param file where given, only for this file
   */
  static async begin(server: Server, calls: string, error: string, file?: string): Promise<SystemFault> {
    const strace = spawn(
      'strace',
      [
        ...['-f', '-p', String(server.pid), '-o', join(newFolder(), 'trace')],
        ...['-e', `trace=${calls}`, '-e', `inject=${calls}:error=${error}`],
        ...(file === undefined ? [] : ['-P', file]),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    undoAtEnd(() => strace.kill('SIGKILL'));
    let said = '';
    strace.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until(() => said.includes('attached') || strace.exitCode !== null, 'strace');
    if (strace.exitCode !== null) throw new Error(`strace ended: ${said}`);
    return new SystemFault(strace);
  }

  /** The system answers again. */
  async end(): Promise<void> {
    const closed = once(this.#strace, 'close');
    this.#strace.kill('SIGINT');
    await closed;
  }
}
