import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ForeignProgram } from '../support/foreign-client.ts';
import { expectExact, RestartedServer } from '../support/restarts.ts';
import { cleanUp } from '../support/server.ts';
import { until } from '../support/until.ts';

/** Each as its own documentation shows it. */
const PROGRAMS = [
  'eventsource-2.js',
  'eventsource-4.js',
  'eventsource-parser.js',
  'launchdarkly-eventsource.js',
  'event-source-plus.js',
  'python.py',
  'curl.sh',
];
/** Gives up for good on any status but 200. */
const STRICT = 'eventsource-4.js';

describe('of all messages, whatever they are, exactly once and in order is handed on', () => {
  const recipient = 'bob';
  const programs = new Map<string, ForeignProgram>();
  let server: RestartedServer;
  const programOf = (file: string): ForeignProgram => {
    const program = programs.get(file);
    if (program === undefined) throw new Error(`${file} was not started`);
    return program;
  };
  beforeAll(async () => {
    server = await RestartedServer.start();
    for (const file of PROGRAMS) {
      programs.set(file, new ForeignProgram(file, server.streamOf(recipient, file)));
    }
    await server.waitForDevices(recipient, programs.size);
    await server.publishThroughEnds(recipient, programs.size);
  }, 120_000);
  afterAll(cleanUp);

  test.each(PROGRAMS)('over SIGTERM and SIGKILL, by %s', async (file) => {
    await expectExact(programOf(file), server.url, recipient);
  });

  test(`over 502 of a proxy, by all but ${STRICT}, which gives up`, async () => {
    await server.failAsProxiesDo(recipient, PROGRAMS.length);
    for (const file of PROGRAMS) {
      if (file !== STRICT) await expectExact(programOf(file), server.url, recipient);
    }
    await until(() => programOf(STRICT).said.includes('ended with 0'), 'it to give up');
    expect(await programOf(STRICT).received()).not.toContainEqual(
      expect.objectContaining({ content: 'while a proxy answered 502' }),
    );
  }, 60_000);
});
