/** What the system was asked to do, and in which order: the service run under strace (Linux). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { newFolder, Server, type ServerOptions } from './server.ts';
import { testWithTool } from './tool.ts';

/** A test that needs strace. */
export const tracedTest = testWithTool('strace', 'strace');

/** A call of the system, between two moments of one order: the lines of the trace. */
export interface SystemCall {
  readonly thread: string;
  readonly name: string;
  /** The path of the file, or what it is: `socket:[1234]`. */
  readonly file: string;
  /** The rest of the line, with the bytes that were written as strace shows them. */
  readonly text: string;
  readonly began: number;
  /** Infinity where it had not come back when the process ended. */
  readonly returned: number;
}

const CALLS = 'fdatasync,fsync,write,writev,pwrite64,sendto,sendmsg';

/** A server whose system calls are written down. */
export class TracedServer {
  readonly server: Server;
  readonly #file: string;

  private constructor(server: Server, file: string) {
    this.server = server;
    this.#file = file;
  }

  /** @param inject arguments for strace, such as a delay */
  static async start(options: ServerOptions, inject: readonly string[] = []): Promise<TracedServer> {
    const file = join(newFolder(), 'trace');
    // -D: the server is the child, and the tracer its grandchild, so that signals reach the server.
    const strace = ['strace', '-D', '-f', '-y', '-s', '5000', '-e', `trace=${CALLS}`, ...inject, '-o', file];
    return new TracedServer(await Server.start({ ...options, wrapper: strace }), file);
  }

  /** The calls so far in the order in which they began; ends the server first, so that all are there. */
  async calls(): Promise<SystemCall[]> {
    await this.server.stop();
    return parse(readFileSync(this.#file, 'utf8'));
  }
}

function parse(trace: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const pending = new Map<string, { -readonly [Key in keyof SystemCall]: SystemCall[Key] }>();
  for (const [line, content] of trace.split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(content) ?? [];
    if (rest.startsWith('<... ')) {
      const call = pending.get(thread);
      if (call === undefined) continue;
      call.returned = line;
      // What lies in memory is shown where the call comes back, for some calls.
      call.text += rest;
      pending.delete(thread);
      continue;
    }
    const [, name, file, text] = /^(\w+)\(\d+<(.*?)>(.*)$/.exec(rest) ?? [];
    if (name === undefined || file === undefined || text === undefined) continue;
    const unfinished = text.endsWith('<unfinished ...>');
    const call = { thread, name, file, text, began: line, returned: unfinished ? Infinity : line };
    calls.push(call);
    if (unfinished) pending.set(thread, call);
  }
  return calls;
}

/** Whether a call made a file durable. */
export function isSync({ name }: SystemCall): boolean {
  return name === 'fsync' || name === 'fdatasync';
}

/** Whether a call sent a text to a client. */
export function isSent(call: SystemCall, text: string): boolean {
  return call.file.startsWith('socket:') && call.text.includes(text);
}
