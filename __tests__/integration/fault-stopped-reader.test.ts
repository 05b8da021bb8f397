import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect } from '@jest/globals';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { WireMessage } from '../support/api.ts';
import { residentBytes } from '../support/memory.ts';
import { publishLargely } from '../support/publish-largely.ts';
import { cleanUp, newFolder, Server, undoAtEnd } from '../support/server.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const MEBIBYTE = 1024 * 1024;
const LARGEST = 'x'.repeat(48 * 1024 - 2);

/** The events in what curl has written so far. */
function eventsIn(file: string): EventSourceMessage[] {
  const events: EventSourceMessage[] = [];
  createParser({ onEvent: (event) => events.push(event) }).feed(readFileSync(file, 'utf8'));
  return events;
}

/** Whether a text is near the end of a file; all of it is too much to read again and again. */
function endsNear(file: string, text: string): boolean {
  const end = Buffer.alloc(2 * LARGEST.length);
  const descriptor = openSync(file, 'r');
  const length = readSync(descriptor, end, 0, end.length, Math.max(0, statSync(file).size - end.length));
  closeSync(descriptor);
  return end.toString('latin1', 0, length).includes(text);
}

describe('a reader whose process is stopped', () => {
  testWithTool('curl', 'curl')(
    'a reader that is stopped costs the service no memory, and gets everything once and in order when it goes on',
    async () => {
      const server = await Server.start();
      // The memory that publishing needs without readers.
      await publishLargely(server, 1000, LARGEST);
      const file = join(newFolder(), 'stream');
      const curl = spawn('curl', ['-sN', '-o', file, `${server.url}/stream?recipient=bob`]);
      undoAtEnd(() => curl.kill('SIGKILL'));
      const ended = once(curl, 'close');
      const hasFile = (): boolean => statSync(file, { throwIfNoEntry: false }) !== undefined;
      await until(() => hasFile() && eventsIn(file).some(({ event }) => event === 'live'), 'live');

      curl.kill('SIGSTOP');
      const before = residentBytes(server.pid);
      let most = 0;
      const ids = await publishLargely(server, 3000, LARGEST, () => {
        most = Math.max(most, residentBytes(server.pid));
      });
      expect(ids.length * LARGEST.length).toBeGreaterThan(140 * MEBIBYTE);
      expect(most - before).toBeLessThan(100 * MEBIBYTE);
      const reached = statSync(file).size;
      expect(reached).toBeLessThan(MEBIBYTE);

      curl.kill('SIGCONT');
      const last = ids.at(-1);
      await until(() => endsNear(file, `\nid: ${last}-`), 'the last message');
      ids.push(...(await publishLargely(server, 1, 'afterwards')));
      await until(() => endsNear(file, `\nid: ${ids.at(-1)}-`), 'a message that is live again');
      const events = eventsIn(file);
      const messages = events.filter(({ event }) => event === undefined);
      expect(messages.map(({ data }) => (JSON.parse(data) as WireMessage).id)).toEqual(ids);
      const said = events.map(({ event }) => event).filter((event) => event !== undefined);
      expect(said.filter((event) => event !== 'heartbeat')).toEqual(['ready', 'live']);
      curl.kill();
      await ended;
    },
  );
});
