/** The system calls of a service, in order: it is run under strace (Linux). */
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
  /** The same moments in seconds, by the clock that all processes share. */
  readonly beganAt: number;
  readonly returnedAt: number;
}

const CALLS = 'fdatasync,fsync,write,writev,pwrite64,sendto,sendmsg';

/** The command before a program that writes its system calls to a file. */
export function traceTo(file: string, inject: readonly string[] = []): string[] {
  // -D: the program is the child, and the tracer its grandchild, so that signals reach the program.
  return [...'strace -D -f -y -ttt -s 5000 -e'.split(' '), `trace=${CALLS}`, ...inject, '-o', file];
}

/** The calls in such a file, in the order in which they began. Their program should have ended, so that all are there. */
export function readTrace(file: string): SystemCall[] {
  return parse(readFileSync(file, 'utf8'));
}

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
    return new TracedServer(await Server.start({ ...options, wrapper: traceTo(file, inject) }), file);
  }

  /** The calls so far in the order in which they began; ends the server first, so that all are there. */
  async calls(): Promise<SystemCall[]> {
    await this.server.stop();
    return readTrace(this.#file);
  }
}

function parse(trace: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const pending = new Map<string, { -readonly [Key in keyof SystemCall]: SystemCall[Key] }>();
  for (const [line, content] of trace.split('\n').entries()) {
    const [, thread = '', seconds = '', rest = ''] = /^(\d+) +([\d.]+) (.*)$/.exec(content) ?? [];
    const at = Number(seconds);
    if (rest.startsWith('<... ')) {
      const call = pending.get(thread);
      if (call === undefined) continue;
      call.returned = line;
      call.returnedAt = at;
      // For some calls, strace shows the memory when the call returns.
      call.text += rest;
      pending.delete(thread);
      continue;
    }
    const [, name, file, text] = /^(\w+)\(\d+<(.*?)>(.*)$/.exec(rest) ?? [];
    if (name === undefined || file === undefined || text === undefined) continue;
    const unfinished = text.endsWith('<unfinished ...>');
    const [returned, returnedAt] = unfinished ? [Infinity, Infinity] : [line, at];
    const call = { thread, name, file, text, began: line, returned, beganAt: at, returnedAt };
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
