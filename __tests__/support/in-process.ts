/** Services inside the process of the test, and what they leave behind in it. */
import { createHook } from 'node:async_hooks';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { readConfig as ReadConfig } from '../../src/config/config.ts';
import type { Service as BuiltService } from '../../src/service.ts';
import { newFolder } from './server.ts';

// The built one: its writer is a thread of its own.
const DIST = join(import.meta.dirname, '../../dist');
const { Service } = (await import(join(DIST, 'service.js'))) as { Service: typeof BuiltService };
const { readConfig } = (await import(join(DIST, 'config/config.js'))) as { readConfig: typeof ReadConfig };

const OPEN_FILES = 1024;

/** A service that has not been started. `lines` of its log are kept, one JSON text each. */
export interface Built {
  readonly service: BuiltService;
  readonly database: string;
  readonly lines: readonly string[];
}

/** Makes a service on a free port and a new database, unless the environment says otherwise. */
export function build(
  environment: Readonly<Record<string, string>> = {},
  onFatal = (error: Error): void => {
    throw error;
  },
): Built {
  const lines: string[] = [];
  const config = readConfig(
    { PORT: '0', DATABASE: join(newFolder(), 'tidings.sqlite'), ...environment },
    [],
    OPEN_FILES,
  );
  const service = new Service({
    config,
    logger: pino({ base: null }, { write: (line: string) => lines.push(line) }),
    lines: { dropped: 0 },
    now: Date.now,
    onFatal,
  });
  return { service, database: config.database, lines };
}

/** Watches the process from now on: what services in it hold open. */
export class Held {
  /** Timers that were begun by the service and have neither fired nor been cleared, by their ids: where each was begun. */
  readonly #timers = new Map<number, string>();
  readonly #before = process.getActiveResourcesInfo();
  readonly #hook = createHook({
    init: (id, type) => {
      if (type !== 'Timeout' && type !== 'Immediate') return;
      const { stack = '' } = new Error();
      if (stack.includes(DIST)) this.#timers.set(id, stack);
    },
    destroy: (id) => this.#timers.delete(id),
  });

  watch(): void {
    Error.stackTraceLimit = 50;
    this.#hook.enable();
  }

  /** Returns what is still open: timers, other new handles that keep the process alive, and database files (on Linux). */
  now(...databases: readonly string[]): string[] {
    const before = [...this.#before];
    const resources = process.getActiveResourcesInfo().filter((type) => {
      const index = before.indexOf(type);
      if (index === -1) return !['Timeout', 'Immediate', 'FSReqPromise'].includes(type);
      before.splice(index, 1);
      return false;
    });
    const files = openFiles().filter((file) => databases.some((database) => file.startsWith(database)));
    return [...this.#timers.values(), ...resources, ...files];
  }

  end(): void {
    this.#hook.disable();
  }
}

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The one that lists the folder.
      return [];
    }
  });
}
