import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectProblem } from '../support/problems.ts';
import { rawForm, rawPublish } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';

const KIB = 1024;

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

describe('a form', () => {
  test('a form has the same fields as JSON, with content as a string', async () => {
    const answer = await rawForm(
      server.port,
      'recipient=caf%C3%A9+bar&sender=ann&content=1%0A%2B+%F0%9F%98%80&type=note&ttl=60&idempotencyKey=k',
    );
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      recipient: 'café bar',
      sender: 'ann',
      content: '1\n+ 😀',
      type: 'note',
      expiresAt: expect.any(String),
      idempotencyKey: 'k',
    });
    expect((await rawForm(server.port, 'recipient=bob&content=')).body).toMatchObject({ content: '' });
    const background = await rawForm(server.port, 'recipient=bob&content=x&background=true');
    expect(background).toMatchObject({ status: 201, body: { background: true } });
    const plain = await rawForm(server.port, 'recipient=bob&content=x&background=false');
    expect(plain.body).not.toHaveProperty('background');
    const ephemeral = await rawForm(server.port, 'recipient=nobody&content=x&ephemeral=true');
    expect(ephemeral).toMatchObject({ status: 202, body: { devices: 0 } });
  });

  test.each([
    ['an unknown field', 'recipient=bob&content=x&contnt=y', ['/contnt']],
    ['__proto__', 'recipient=bob&content=x&__proto__=y', ['/__proto__']],
    ['nothing', '', ['/content', '/recipient']],
    ['a field twice', 'recipient=bob&recipient=eve&content=x', ['/recipient']],
    ['a ttl that is no number', 'recipient=bob&content=x&ttl=soon', ['/ttl']],
    ['a ttl with a fraction', 'recipient=bob&content=x&ttl=1.5', ['/ttl']],
    [
      'a background that is neither true nor false',
      'recipient=bob&content=x&background=yes',
      ['/background'],
    ],
    ['an empty ttl', 'recipient=bob&content=x&ttl=', ['/ttl']],
  ])('a form with %s is refused', async (_what, form, paths) => {
    expectProblem(await rawForm(server.port, form), 400, paths);
  });

  test.each([
    'content=%FF',
    'content=%C3',
    'content=%ED%A0%80',
    'content=%zz',
    'content=%',
    'x%FF=1&content=1',
  ])('a form with %s, which is not percent-encoded UTF-8, is refused', async (field) => {
    expectProblem(await rawForm(server.port, `recipient=bob&${field}`), 400);
  });

  test('a form with bytes that are not UTF-8 is refused', async () => {
    const bytes = Buffer.concat([Buffer.from('recipient=bob&content='), Buffer.from([0xff])]);
    expectProblem(
      await rawPublish(server.port, bytes, { 'Content-Type': 'application/x-www-form-urlencoded' }),
      400,
    );
  });

  test('a form with content beyond 48 KiB as JSON is 413', async () => {
    const form = `recipient=bob&content=${'x'.repeat(48 * KIB - 2)}`;
    expect((await rawForm(server.port, form)).status).toBe(201);
    expectProblem(await rawForm(server.port, `${form}x`), 413, ['/content']);
  });
});
