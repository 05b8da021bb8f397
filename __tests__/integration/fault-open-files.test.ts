import { Agent, get as httpGet } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect } from '@jest/globals';
import type { Answer, WireMessage } from '../support/api.ts';
import { rawPublish, rawRequest } from '../support/raw.ts';
import { RawDevice } from '../support/raw-device.ts';
import { cleanUp, Server, undoAtEnd } from '../support/server.ts';
import { testWithTool } from '../support/tool.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const OPEN_FILES = 400;

/** Connections that send nothing, take nothing and close nothing, more than there are files for. */
function openSilent(port: number, localAddress = '127.0.0.1'): Socket[] {
  const sockets = Array.from({ length: OPEN_FILES }, () =>
    connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true }).on('error', () => undefined),
  );
  undoAtEnd(() => {
    for (const socket of sockets) socket.destroy();
  });
  return sockets;
}

/** A client that goes on asking on one connection, which it has had from the beginning. */
class KeptConnection {
  /** The statuses of its answers; 0 for none. */
  readonly statuses = new Set<number>();
  answers = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #over: Promise<void>;
  #ending = false;

  constructor(url: string) {
    this.#over = this.#askAll(url);
  }

  async end(): Promise<void> {
    this.#ending = true;
    await this.#over;
    this.#agent.destroy();
  }

  async #askAll(url: string): Promise<void> {
    for (; !this.#ending; this.answers++) {
      const status = await new Promise<number>((resolve) => {
        httpGet(url, { agent: this.#agent }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        }).on('error', () => resolve(0));
      });
      this.statuses.add(status);
      await sleep(10);
    }
  }
}

/** Asks again and again while connections are refused; on bare sockets, since a client with a pool may wait instead. */
async function persist(request: () => Promise<Answer>): Promise<Answer> {
  let answer: Answer | undefined;
  await until(async () => (answer = await request().catch(() => undefined)) !== undefined, 'an answer');
  return answer as Answer;
}

describe('at the limit of open files', () => {
  testWithTool('prlimit', 'util-linux')(
    'at the limit of open files, streams go on, and newcomers are served as soon as silent connections are cut',
    async () => {
      const server = await Server.start({ wrapper: ['prlimit', `--nofile=${OPEN_FILES}`] });
      const kept = new KeptConnection(`${server.url}/client.js`);
      await until(() => kept.answers > 0);
      const devices = await Promise.all(
        Array.from({ length: OPEN_FILES / 2 }, () => RawDevice.open(server.port, 'recipient=bob')),
      );
      await until(
        () => devices.every(({ said, closed }) => said.some(({ event }) => event === 'live') || closed),
        'an answer to each device',
      );
      const streams = devices.filter(({ closed }) => !closed);
      const refused = devices.filter(({ closed }) => closed);
      expect(streams.length).toBeGreaterThan(OPEN_FILES / 4);
      expect(refused.length).toBeGreaterThan(0);
      for (const { head, said } of refused) {
        expect(head).toMatch(/^HTTP\/1\.1 200 /);
        expect(said).toMatchObject([{ event: 'bye', data: { reason: 'over-limit' } }]);
      }

      const silent = openSilent(server.port);
      await until(() => silent.every(({ connecting }) => !connecting), 'the silent connections');
      const { answers } = kept;
      await until(() => kept.answers > answers + 20, 'answers on the connection that was there');
      const ids: number[] = [];
      while (ids.length < 5) {
        const answer = await persist(() => rawPublish(server.port, '{"recipient":"bob","content":"hi"}'));
        expect(answer.status).toBe(201);
        ids.push((answer.body as WireMessage).id);
      }
      await Promise.all(streams.map((device) => device.waitForMessages(ids.length)));
      expect((await persist(() => rawRequest(server.port, { path: '/healthz' }))).status).toBe(200);
      const late = await RawDevice.open(server.port, 'recipient=bob');
      expect((await late.waitFor('bye')).data).toMatchObject({ reason: 'over-limit' });
      // One that ends makes room for another.
      streams.pop()?.cut();
      await until(async () => {
        const next = await RawDevice.open(server.port, 'recipient=bob');
        await until(() => next.closed || next.said.length > 1);
        return !next.closed;
      }, 'a stream in the place of one that ended');
      await kept.end();

      for (const { ids: seen, said, closed } of streams) {
        expect(seen).toEqual(ids);
        expect(said.map(({ event }) => event)).not.toContain('bye');
        expect(closed).toBe(false);
      }
      expect(kept.statuses).toEqual(new Set([200]));
      expect(server.stderr).not.toMatch(/EMFILE|"level":(50|60)/);
      expect((await server.stop()).code).toBe(0);
    },
  );

  testWithTool('prlimit', 'util-linux')(
    'a client that holds all connections without a request loses them, and others are served',
    async () => {
      const server = await Server.start({ wrapper: ['prlimit', `--nofile=${OPEN_FILES}`] });
      const kept = new KeptConnection(`${server.url}/client.js`);
      await until(() => kept.answers > 0);
      for (let round = 0; round < 3; round++) {
        const silent = openSilent(server.port, '127.0.0.2');
        await until(() => silent.every(({ connecting }) => !connecting), 'the silent connections');
        // Before the ten seconds in which a request must begin are over: those that are closed make room.
        const answer = await persist(() => rawPublish(server.port, '{"recipient":"bob","content":"hi"}'));
        expect(answer.status).toBe(201);
        for (let count = 0; count < 20; count++) {
          expect((await rawRequest(server.port, { path: '/healthz' })).status).toBe(200);
        }
        expect(silent.some(({ readableEnded, destroyed }) => !readableEnded && !destroyed)).toBe(true);
      }
      await kept.end();
      expect(kept.statuses).toEqual(new Set([200]));
      expect((await server.stop()).code).toBe(0);
    },
  );
});
