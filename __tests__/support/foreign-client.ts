/** Clients that this project did not write, each as an application of its own, in a process or in a page of a browser. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { WireMessage } from './api.ts';
import { undoAtEnd } from './server.ts';

/** The folder of the applications. */
export const CLIENTS = join(import.meta.dirname, 'clients');

/** A client as seen by its application. */
export interface ForeignClient {
  readonly name: string;
  /** The id of the stored message that it was handed last; 0 if there is none. */
  lastId(): Promise<number>;
  /** All that its application was handed, in order. */
  received(): Promise<readonly unknown[]>;
}

/** The stored messages of what an application was handed; libraries without names for events hand on the others, too. */
export function messagesIn(received: readonly unknown[]): WireMessage[] {
  return (received as Partial<WireMessage>[]).filter((one): one is WireMessage => one.id !== undefined);
}

const COMMANDS: Readonly<Record<string, string>> = { js: process.execPath, py: 'python3', sh: 'bash' };

/** A program that prints each message that it is handed as one line of JSON. */
export class ForeignProgram implements ForeignClient {
  readonly name: string;
  /** Its error output. */
  said = '';
  readonly #received: unknown[] = [];

  /** Starts it; `cleanUp` ends it. @param file in `clients` */
  constructor(file: string, url: string) {
    const [name = file, extension = ''] = file.split(/\.(?=\w+$)/);
    this.name = name;
    // In a group of its own, since a shell has children.
    const child = spawn(COMMANDS[extension] ?? extension, [join(CLIENTS, file), url], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    undoAtEnd(() => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.#received.push(...lines.map((line) => JSON.parse(line) as unknown));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    child.on('close', (code) => (this.said += `ended with ${code}`));
  }

  lastId(): Promise<number> {
    return Promise.resolve(messagesIn(this.#received).at(-1)?.id ?? 0);
  }

  received(): Promise<readonly unknown[]> {
    return Promise.resolve(this.#received);
  }
}

/** A page that puts each message that it is handed into its array `received`. */
export class ForeignPage implements ForeignClient {
  readonly name: string;
  /** Evaluates an expression in the page whose value is text. */
  readonly evaluate: (expression: string) => Promise<string>;

  constructor(name: string, evaluate: (expression: string) => Promise<string>) {
    this.name = name;
    this.evaluate = evaluate;
  }

  async lastId(): Promise<number> {
    return Number(await this.evaluate('String(received.findLast(({ id }) => id !== undefined)?.id ?? 0)'));
  }

  async received(): Promise<readonly unknown[]> {
    return JSON.parse(await this.evaluate('JSON.stringify(received)')) as unknown[];
  }
}
