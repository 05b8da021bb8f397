/** Another program that locks the file of a log, as a person with a database shell does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { undoAtEnd } from './server.ts';

const PROGRAM = `
import Sqlite from 'better-sqlite3';
const [file, begin] = process.argv.slice(1);
const database = new Sqlite(file, { timeout: 10_000 });
database.exec(begin);
process.stdout.write('held');
process.stdin.resume().once('end', () => { database.exec('ROLLBACK'); database.close(); });
`;

export class LockHolder {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param begin the statement that takes the lock; waits until it is held */
  static async hold(file: string, begin: string): Promise<LockHolder> {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM, file, begin], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    undoAtEnd(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    return new LockHolder(child);
  }

  /** Lets go, and waits until the program has ended. */
  async release(): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.stdin?.end();
    await ended;
  }

  /** Ends the program without a word, as a crash does. */
  async kill(): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
