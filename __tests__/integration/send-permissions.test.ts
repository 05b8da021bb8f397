import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Answer, publish, request, type WireMessage } from '../support/api.ts';
import { expectProblem } from '../support/problems.ts';
import { cleanUp, Server } from '../support/server.ts';
import { bearer, type Grants, SECRET, tokenFor } from '../support/tokens.ts';
import { words } from '../support/words.ts';

let server: Server;
let auditor: Record<string, string>;
beforeAll(async () => {
  server = await Server.start({ env: { AUTH_SECRET: SECRET, PUBLISH_RATE: '0' } });
  auditor = bearer(await tokenFor('auditor', { read: ['*'], sendAs: ['*'], sendTo: ['*'] }));
  // The message that read markers of these tests point to.
  await publish(server.url, { recipient: 'bob', content: 'first' }, auditor);
});
afterAll(cleanUp);

/** All that is stored, as one that may see everything sees it. */
async function stored(): Promise<readonly WireMessage[]> {
  const answer = await request(`${server.url}/messages?recipient=*&limit=1000`, { headers: auditor });
  expect(answer.body).toMatchObject({ more: false });
  return (answer.body as { messages: WireMessage[] }).messages;
}

async function send(sub: string, grants: Grants | undefined, body: unknown): Promise<Answer> {
  return publish(server.url, body, bearer(await tokenFor(sub, grants)));
}

const to = (recipient: string, fields: object = {}) => ({ recipient, content: 1, ...fields });
/** A message to bob that names its sender. */
const from = (sender: string, fields: object = {}) => to('bob', { sender, ...fields });
const bobs = (count: number) => Array.from({ length: count }, () => to('bob'));
const READ = { type: 'read', content: { messageId: 1 } };
const SENDING = { sendTo: ['*'] };
const AS_BOT = { sendAs: ['bot'], sendTo: ['*'] };
const TO_BOB = { sendTo: ['bob'] };

describe('permitted publishes', () => {
  test.each<[string, string, Grants | undefined, Record<string, unknown>, string]>([
    ['to an address of its list', 'al', { sendTo: ['bob'] }, to('bob'), 'al'],
    ['to one of several', 'al', { sendTo: ['x', 'bob', 'y-*'] }, to('bob'), 'al'],
    ['to what begins with its prefix', 'al', { sendTo: ['room-*'] }, to('room-7'), 'al'],
    ['to the prefix itself', 'al', { sendTo: ['room-*'] }, to('room-'), 'al'],
    ['to all with *', 'al', SENDING, to('whoever'), 'al'],
    ['to itself if its list says so', 'al', { sendTo: ['al'] }, to('al'), 'al'],
    ['as itself, said or not', 'al', SENDING, to('bob', { sender: 'al' }), 'al'],
    ['as another of its list', 'al', { sendAs: ['al', 'bot'], sendTo: ['*'] }, from('bot'), 'bot'],
    ['as what begins with its prefix', 'al', { sendAs: ['al-*'], sendTo: ['*'] }, from('al-2'), 'al-2'],
    ['as all with *', 'al', { sendAs: ['*'], sendTo: ['*'] }, to('bob', { sender: 'x' }), 'x'],
    ['as itself by a list with its prefix', 'al', { sendAs: ['a*'], sendTo: ['*'] }, to('bob'), 'al'],
    ['to the name of a property', 'al', { sendTo: ['__proto__'] }, to('__proto__'), 'al'],
    ['a read marker', 'bob', { sendTo: ['auditor'] }, to('auditor', READ), 'bob'],
  ])('a token may send %s', async (_what, sub, grants, body, sender) => {
    const answer = await send(sub, grants, body);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ sender, recipient: body['recipient'] });
  });
});

describe('forbidden publishes', () => {
  test.each<[string, string, Grants | undefined, unknown, string]>([
    ['to anybody without a claim', 'al', undefined, to('bob'), '/recipient'],
    ['to anybody with an empty claim', 'al', {}, to('bob'), '/recipient'],
    ['to itself without a claim', 'al', undefined, to('al'), '/recipient'],
    ['to anybody with an empty list', 'al', { sendTo: [] }, to('bob'), '/recipient'],
    ['to whom it may only read', 'al', { read: ['bob'] }, to('bob'), '/recipient'],
    ['to whom it may only be', 'al', { sendAs: ['al', 'bob'] }, to('bob'), '/recipient'],
    ['to a longer address', 'al', TO_BOB, to('bobby'), '/recipient'],
    ['to a shorter address', 'al', { sendTo: ['bobby'] }, to('bob'), '/recipient'],
    ['to an address in another case', 'al', TO_BOB, to('Bob'), '/recipient'],
    ['to an address that looks the same', 'al', TO_BOB, to('b\u043eb'), '/recipient'],
    ['beside its prefix', 'al', { sendTo: ['room-*'] }, to('room'), '/recipient'],
    ['with its prefix in the middle', 'al', { sendTo: ['room-*'] }, to('my-room-1'), '/recipient'],
    ['to the name of a property', 'al', TO_BOB, to('constructor'), '/recipient'],
    ['as another', 'al', SENDING, from('bob'), '/sender'],
    ['as a longer address', 'al', SENDING, from('al2'), '/sender'],
    ['as another that it may read and write', 'al', { sendTo: ['*'], read: ['*'] }, from('x'), '/sender'],
    ['as itself if its list leaves that out', 'al', AS_BOT, to('bob'), '/sender'],
    ['as itself, said, if its list leaves that out', 'al', AS_BOT, from('al'), '/sender'],
    ['as itself with an empty list', 'al', { sendAs: [], sendTo: ['*'] }, to('bob'), '/sender'],
    ['as anonymous', 'al', SENDING, from('anonymous'), '/sender'],
    ['as another to whom it may not', 'al', TO_BOB, to('x', { sender: 'y' }), '/recipient /sender'],
    ['an ephemeral message', 'al', TO_BOB, to('x', { ephemeral: true }), '/recipient'],
    ['an ephemeral message as another', 'al', SENDING, from('x', { ephemeral: true }), '/sender'],
    ['a read marker as another', 'al', SENDING, to('auditor', { ...READ, sender: 'bob' }), '/sender'],
    ['a read marker to whom it may not', 'bob', { sendTo: ['x'] }, to('auditor', READ), '/recipient'],
    ['a batch of one', 'al', TO_BOB, [to('x')], '/0/recipient'],
    ['a batch in which one is not allowed', 'al', TO_BOB, [...bobs(2), to('x'), to('bob')], '/2/recipient'],
    ['a batch whose last sender is another', 'al', SENDING, [to('bob'), from('x')], '/1/sender'],
    [
      'a batch, and each fault is named',
      'al',
      TO_BOB,
      [to('x', { sender: 'y' }), to('bob'), to('z')],
      '/0/recipient /0/sender /2/recipient',
    ],
    [
      'a batch of 1000 of which the last is not allowed',
      'al',
      TO_BOB,
      [...bobs(999), to('x')],
      '/999/recipient',
    ],
  ])(
    'a token may not send %s; the field is named, and nothing is stored',
    async (_what, sub, grants, body, paths) => {
      const before = await stored();
      const answer = await send(sub, grants, body);
      expectProblem(answer, 403, words(paths));
      expect(await stored()).toEqual(before);
    },
  );

  test('a form is sent by the same rights as JSON', async () => {
    const before = await stored();
    const headers = bearer(await tokenFor('al', { sendTo: ['bob'] }));
    const form = (fields: Record<string, string>) =>
      request(`${server.url}/messages`, { method: 'POST', headers, body: new URLSearchParams(fields) });
    expectProblem(await form({ recipient: 'x', content: 'hi' }), 403, ['/recipient']);
    expectProblem(await form({ recipient: 'bob', content: 'hi', sender: 'x' }), 403, ['/sender']);
    expectProblem(await form({ recipient: 'x', content: 'hi', ephemeral: 'true' }), 403, ['/recipient']);
    expect(await stored()).toEqual(before);
    const allowed = await form({ recipient: 'bob', content: 'hi' });
    expect([allowed.status, (allowed.body as WireMessage).sender]).toEqual([201, 'al']);
  });

  test('a repeat of an idempotency key needs the right to send, too', async () => {
    const key = { idempotencyKey: 'once' };
    expect((await send('al', { sendTo: ['bob'] }, to('bob', key))).status).toBe(201);
    expectProblem(await send('al', undefined, to('bob', key)), 403, ['/recipient']);
    expectProblem(await send('eve', SENDING, to('bob', { ...key, sender: 'al' })), 403, ['/sender']);
    // A key of another sender is another key.
    expect((await send('eve', SENDING, to('bob', key))).status).toBe(201);
  });

  test('a malformed publish is 400, whatever its token may send', async () => {
    expectProblem(await send('al', undefined, { recipient: 'b*', content: 1 }), 400, ['/recipient']);
    expectProblem(await send('al', undefined, [to('x'), { recipient: 'bob' }]), 400, ['/1/content']);
  });
});
