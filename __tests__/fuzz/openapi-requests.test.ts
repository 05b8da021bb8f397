import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { get } from '../support/api.ts';
import {
  type DescribedRequest,
  describedRequests,
  PUSH_HOST,
  RequestJudge,
  sendDescribed,
} from './described-requests.ts';
import { Description, type Document } from '../support/description.js';
import { cleanUp, Server } from '../support/server.ts';
import { SECRET, tokenFor } from '../support/tokens.ts';

const REQUESTS = 1000;
const seed = Number(process.env['TEST_SEED'] ?? 1);

afterEach(cleanUp);

/** Whether the query of a request has a parameter. */
const has = ({ query }: DescribedRequest, name: string): boolean => query.some(([one]) => one === name);
const fieldsOf = ({ body }: DescribedRequest): Record<string, unknown> => ({
  ...(body as Record<string, unknown>),
});

/** Requests that match the schema and may still be refused as malformed, by rules that a schema cannot express. */
const UNSAID: readonly {
  readonly why: string;
  readonly applies: (given: DescribedRequest, open: boolean) => boolean;
}[] = [
  {
    why: 'without a token nobody has an own address, so a recipient must be named: it depends on the configuration',
    applies: (given, open) =>
      open &&
      ['/messages', '/stream', '/ws', '/conversations', '/push-subscriptions'].includes(given.path) &&
      (given.method === 'get'
        ? !has(given, 'recipient')
        : given.path === '/push-subscriptions' && !('recipient' in fieldsOf(given))),
  },
  {
    why: 'parameters cannot exclude each other in OpenAPI: the three forms of a pull',
    applies: (given) =>
      given.path === '/messages' &&
      ((has(given, 'between') && ['recipient', 'after', 'wait'].some((name) => has(given, name))) ||
        (has(given, 'before') && ['after', 'wait'].some((name) => has(given, name)))),
  },
  {
    why: 'the same: one conversation or room, or a page of all',
    applies: (given) =>
      given.path === '/conversations' &&
      ((has(given, 'peer') && has(given, 'room')) ||
        ((has(given, 'peer') || has(given, 'room')) && (has(given, 'limit') || has(given, 'before')))),
  },
  {
    why: 'no portable pattern can say that an address is in NFC, and has no format characters',
    applies: ({ query, body }) => {
      const all = JSON.stringify([query, body ?? null]);
      return all.normalize('NFC') !== all || /\p{Cf}/u.test(all);
    },
  },
  {
    why: 'a parameter of a header cannot depend on the body: a key is given once, and not to a batch',
    applies: (given) =>
      'Idempotency-Key' in given.headers &&
      (Array.isArray(given.body) || 'idempotencyKey' in fieldsOf(given)),
  },
  {
    why: 'and the key of an ephemeral message in a header is one',
    applies: (given) =>
      'Idempotency-Key' in given.headers && [true, 'true'].includes(fieldsOf(given)['ephemeral'] as never),
  },
  {
    why: 'an endpoint is of a push service that the configuration names',
    applies: (given) => {
      const { endpoint } = {
        ...fieldsOf(given),
        ...(fieldsOf(given)['subscription'] as object | undefined),
      } as {
        endpoint?: unknown;
      };
      // In a form, a number is the text of one.
      return endpoint !== undefined && !JSON.stringify(endpoint).includes(`https://${PUSH_HOST}/`);
    },
  },
];

/** The statuses that say that a request is malformed. */
const MALFORMED = [400, 413];
/** The statuses of requests that are well formed, and refused for what they ask. */
const OTHERWISE = [401, 403, 404, 422];

describe.each([
  ['with a key', false],
  ['without a key', true],
])('a service %s', (_mode, open) => {
  test(`a service accepts exactly the requests that its description allows, in ${REQUESTS} requests: TEST_SEED=${seed}`, async () => {
    const env = { PUBLISH_RATE: '0', PUSH_HOSTS: PUSH_HOST, MAX_STREAMS_PER_CLIENT: '1000' };
    const server = await Server.start({ env: open ? env : { ...env, AUTH_SECRET: SECRET } });
    const grants = {
      sendAs: ['alice', 'bob'],
      sendTo: ['*'],
      read: ['alice', 'bob', 'room/*'],
      metrics: true as const,
    };
    const token = open ? undefined : await tokenFor('alice', grants);
    const document = (await get(server.url, '/openapi.json')).body as Document;
    const judge = new RequestJudge(document);
    const answers = new Description(document, { closed: true });
    const verdicts = { taken: 0, malformed: 0, otherwise: 0, unsaid: 0 };

    await fc.assert(
      fc.asyncProperty(describedRequests(document), async (given) => {
        const faults = judge.faultsOf(given);
        const answer = await sendDescribed(server.port, given, token);
        const path = given.path.replace('{id}', '1');
        const { status } = answer;
        const shown = `${JSON.stringify(given).slice(0, 2000)}\n${faults.join('\n')}\n${status} ${answer.body.slice(0, 1000)}`;
        // Streams and sockets are looked at by the tap in the service.
        if (status >= 200 && answer.type !== 'text/event-stream') {
          const method = given.method.toUpperCase();
          expect(answers.faultsOfAnswer({ ...answer, method, path, isCoded: false })).toEqual([]);
        }
        // A path with anything but an id is not the path of a message.
        const isMalformed = MALFORMED.includes(status) || (given.path === '/messages/{id}' && status === 404);
        const isUnsaid = UNSAID.some(({ applies }) => applies(given, open));
        if (faults.length > 0) {
          verdicts.malformed += 1;
          if (!isMalformed) throw new Error(`taken, and not as described: ${shown}`);
        } else if (isUnsaid) verdicts.unsaid += 1;
        else if (status < 400) verdicts.taken += 1;
        else {
          verdicts.otherwise += 1;
          if (!OTHERWISE.includes(status)) throw new Error(`refused, and as described: ${shown}`);
        }
      }),
      { seed, numRuns: REQUESTS },
    );
    process.stderr.write(`TEST_SEED=${seed}: ${JSON.stringify(verdicts)}\n`);
    expect(verdicts.taken).toBeGreaterThan(REQUESTS / 5);
    expect(verdicts.malformed).toBeGreaterThan(REQUESTS / 5);
    expect(verdicts.unsaid).toBeLessThan(REQUESTS / 5);
  }, 300_000);
});
