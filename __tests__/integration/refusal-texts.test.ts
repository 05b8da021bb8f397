import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PATHS } from '../../src/http/paths.ts';
import { get } from '../support/api.ts';
import { errorPaths, expectProblem } from '../support/problems.ts';
import { type RawRequest, rawRequest } from '../support/raw.ts';
import { cleanUp, Server } from '../support/server.ts';

let server: Server;
beforeAll(async () => {
  server = await Server.start();
});
afterAll(cleanUp);

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';
const MESSAGE = '{"recipient":"bob","content":"hi"}';
const FIELDS = 'sender, recipient, type, content, idempotencyKey, ttl, background, ephemeral';

async function detailOf(request: RawRequest, status: number, paths?: string[]): Promise<string> {
  const answer = await rawRequest(server.port, request);
  expectProblem(answer, status, paths);
  return (answer.body as { detail: string }).detail;
}

const post = (body: string, type = JSON_TYPE, path = '/messages'): RawRequest => ({
  method: 'POST',
  path,
  headers: type === '' ? {} : { 'Content-Type': type },
  body,
});

test.each([
  ['an object', MESSAGE],
  ['a batch', `[${MESSAGE}]`],
  ['a string', '"hi"'],
  ['an object behind white space', ` \n${MESSAGE}`],
  ['an object with the signs of a form', '{"recipient":"bob","content":"a=b&c=d"}'],
  ['an object that is no form at all', '{"recipient":"bob","content":"50% off"}'],
  ['an object, percent-encoded', encodeURIComponent(MESSAGE)],
  ['an object behind a byte order mark', `\uFEFF${MESSAGE}`],
  ['an object behind a byte order mark, percent-encoded', encodeURIComponent(`\uFEFF${MESSAGE}`)],
  ['an object as the command line of Windows passes it on', "'{recipient:bob,content:hi}'"],
  ['white space and an object, percent-encoded', `+%20%0A${encodeURIComponent(MESSAGE)}`],
])('the refusal of JSON that is sent as a form names the right Content-Type: %s', async (_what, body) => {
  expect(await detailOf(post(body, FORM_TYPE), 400, [])).toBe(
    `The body looks like JSON, but its Content-Type is ${FORM_TYPE}: send Content-Type: ${JSON_TYPE}.`,
  );
});

test.each(['recipient=bob&content=hi', 'ttl=1', 'recipient=', '%72ecipient=bob'])(
  'the refusal of a form that is sent as JSON names the right Content-Type: %s',
  async (body) => {
    expect(await detailOf(post(body), 400, [])).toBe(
      `The body looks like a form, but its Content-Type is ${JSON_TYPE}: send Content-Type: ${FORM_TYPE}.`,
    );
  },
);

test.each<[string, RawRequest, number, string]>([
  [
    'without a Content-Type',
    post(MESSAGE, ''),
    415,
    `The Content-Type is missing. It must be ${JSON_TYPE} or ${FORM_TYPE}.`,
  ],
  [
    'of another Content-Type',
    post(MESSAGE, 'text/plain'),
    415,
    `The Content-Type is "text/plain". It must be ${JSON_TYPE} or ${FORM_TYPE}.`,
  ],
  [
    'that is multipart',
    post('', 'multipart/form-data; boundary=x'),
    415,
    `The Content-Type is "multipart/form-data; boundary=x". It must be ${JSON_TYPE} or ${FORM_TYPE} ` +
      '(curl sends the latter with -d, not with -F).',
  ],
  [
    'in another charset',
    post(MESSAGE, 'application/json; charset=latin1'),
    415,
    'The Content-Type is "application/json; charset=latin1", but a body must be UTF-8: send it in UTF-8, without a charset.',
  ],
  [
    'that is missing',
    { method: 'POST', path: '/messages', headers: { 'Content-Length': '0' } },
    400,
    `The request has no body. Send JSON with Content-Type: ${JSON_TYPE}, or a form.`,
  ],
  [
    'that is empty JSON',
    post(''),
    400,
    `The request has no body. Send JSON with Content-Type: ${JSON_TYPE}, or a form.`,
  ],
  [
    'that is an empty form',
    post('', FORM_TYPE),
    400,
    '"recipient" is required: the address to send to. 1 more problem, see errors.',
  ],
  ['of white space', post(' \n'), 400, 'The body is not valid JSON: it ends too early.'],
  [
    'in single quotes',
    post("{'recipient':'bob'}"),
    400,
    "The body is not valid JSON: expected property name or '}' at position 1.",
  ],
  [
    'with a comma too many',
    post('{"recipient":"bob",}'),
    400,
    'The body is not valid JSON: expected double-quoted property name at position 19.',
  ],
  [
    'that is cut short',
    post('{"recipient":"bob"'),
    400,
    "The body is not valid JSON: expected ',' or '}' after property value at position 18.",
  ],
  ['without quotes', post('{"content":secret}'), 400, 'The body is not valid JSON: unexpected character s.'],
  ['that is NaN', post('NaN'), 400, 'The body is not valid JSON: it is not a JSON value.'],
  [
    'of one object a line',
    post(`${MESSAGE}\n${MESSAGE}`),
    400,
    'The body is not valid JSON: it continues after its end, at position 35 (send several messages as one array).',
  ],
  [
    'with a sign that a form has to encode',
    post('content=50% off', FORM_TYPE),
    400,
    '"50% off" is not valid percent-encoded UTF-8. Write "%" as "%25" (with curl: --data-urlencode).',
  ],
])('the refusal of a body %s says what to send', async (_what, request, status, detail) => {
  expect(await detailOf(request, status)).toBe(detail);
});

test.each<[string, string, string[], string]>([
  [
    '{"recipient":"bob","content":1,"contnet":2}',
    'near',
    ['/contnet'],
    '"contnet" is not a field of a message. Did you mean "content"?',
  ],
  [
    '{"recipient":"bob","content":1,"idempotency_key":2}',
    'in another style',
    ['/idempotency_key'],
    '"idempotency_key" is not a field of a message. Did you mean "idempotencyKey"?',
  ],
  [
    '{"recipient":"bob","content":1,"TTL":2}',
    'in capitals',
    ['/TTL'],
    '"TTL" is not a field of a message. Did you mean "ttl"?',
  ],
  [
    '{"recipient":"bob","content":1,"to":"x"}',
    'like none',
    ['/to'],
    `"to" is not a field of a message. Valid names: ${FIELDS}.`,
  ],
  [
    '{"recipient":"bob","content":1,"a/b~c":"x"}',
    'with the signs of a pointer',
    ['/a~1b~0c'],
    `"a/b~c" is not a field of a message. Valid names: ${FIELDS}.`,
  ],
  [
    '{}',
    'missing twice',
    ['/content', '/recipient'],
    '"recipient" is required: the address to send to. 1 more problem, see errors.',
  ],
  [
    '{"to":"bob","text":"hi"}',
    'wrong and missing',
    ['/content', '/recipient', '/text', '/to'],
    `"to" is not a field of a message. Valid names: ${FIELDS}. 3 more problems, see errors.`,
  ],
  [
    '[{"recipient":"bob","content":1},{"recipient":"bob"}]',
    'missing in a batch',
    ['/1/content'],
    '/1/content is required: any JSON value.',
  ],
])('the refusal of %s names the field that is %s', async (body, _what, paths, detail) => {
  expect(await detailOf(post(body), 400, paths)).toBe(detail);
});

test.each([
  ['/messages?recipient=bob&limt=4', '"limt" is not a query parameter of /messages. Did you mean "limit"?'],
  [
    '/stream?recipient=bob&last_event_id=4',
    '"last_event_id" is not a query parameter of /stream. Did you mean "lastEventId"?',
  ],
  [
    '/messages?recipient=bob&since=4',
    '"since" is not a query parameter of /messages. Valid names: recipient, after, limit, wait, before, between.',
  ],
  ['/healthz?x=1', '"x" is not a query parameter of /healthz: this request takes none.'],
  ['/messages', '"recipient" is required: an address, as in ?recipient=bob.'],
  ['/stream', '"recipient" is required: an address, as in ?recipient=bob.'],
  ['/conversations?recipient=a&recipient=b', '"recipient" must be given once.'],
])('the refusal of a query is a sentence: %s', async (path, detail) => {
  expect(await detailOf({ path }, 400)).toBe(detail);
});

test.each([
  ['/messages/', 'The path is /messages, without a slash at the end.'],
  ['/messages/?recipient=bob', 'The path is /messages, without a slash at the end.'],
  ['/messages/1/', 'The path is /messages/1, without a slash at the end.'],
  ['/stream/?recipient=bob', 'The path is /stream, without a slash at the end.'],
  ['/ws/', 'The path is /ws, without a slash at the end.'],
  ['/healthz/', 'The path is /healthz, without a slash at the end.'],
  ['//messages?recipient=bob', 'The path is /messages, with single slashes.'],
  ['/messages//1', 'The path is /messages/1, with single slashes.'],
  ['/Messages', 'The path is /messages, in lower case.'],
  ['/message', 'Did you mean /messages?'],
  ['/message/1', 'Did you mean /messages?'],
  ['/streams', 'Did you mean /stream?'],
  ['/health', 'Did you mean /healthz?'],
  ['/push_key', 'Did you mean /push-key?'],
  ['/api/messages', 'Did you mean /messages?'],
])('the refusal of a wrong path names the right one: %s', async (path, hint) => {
  for (const method of ['GET', 'POST']) {
    const detail = await detailOf({ method, path, headers: { 'Content-Length': '0' } }, 404, []);
    expect(detail).toBe(`There is nothing at "${path.replace(/\?.*/, '')}". ${hint}`);
  }
});

test('the refusal of an unknown path lists all paths, and each of them exists', async () => {
  const detail = await detailOf({ path: '/nothing-like-it' }, 404, []);
  const [, list = ''] =
    /^There is nothing at "\/nothing-like-it"\. The paths of this service are (.*)\.$/.exec(detail) ?? [];
  const paths = list.split(', ');
  const described = new Set(Object.keys(PATHS).map((path) => path.replace('/{id}', '')));
  const { status } = await get(server.url, '/cluster');
  const own = [...described].filter((path) => path !== '/cluster' || status !== 404);
  expect([...paths].sort()).toEqual(own.sort());
  for (const path of paths) {
    const answer = await get(server.url, `${path}?no-such-parameter=1`);
    expect({ path, status: answer.status }).not.toEqual({ path, status: 404 });
  }
});

test('the paths in a refusal are those by which clients reach the service', async () => {
  const mounted = await Server.start({ env: { PUBLIC_URL: 'https://example.com/push/' } });
  const answer = await rawRequest(mounted.port, { path: '/messages/' });
  expect((answer.body as { detail: string }).detail).toMatch(
    / The path is \/push\/messages, without a slash/,
  );
  // A proxy has passed on what it should have taken off.
  for (const path of ['/push/messages', '/push/']) {
    const kept = await rawRequest(mounted.port, { path });
    expect((kept.body as { detail: string }).detail).toBe(
      `There is nothing at "${path}". The proxy must remove /push from the path of each request.`,
    );
  }
});

test('the refusal of a wrong method names the right ones', async () => {
  expect(await detailOf({ method: 'PUT', path: '/messages' }, 405)).toBe(
    'This path does not allow PUT. It allows GET, HEAD and POST.',
  );
  expect(await detailOf({ method: 'POST', path: '/stream', headers: { 'Content-Length': '0' } }, 405)).toBe(
    'This path does not allow POST. It allows GET and HEAD.',
  );
  expect(await detailOf({ method: 'POST', path: '/ws', headers: { 'Content-Length': '0' } }, 405)).toBe(
    'This path does not allow POST. It allows GET.',
  );
});

test('a refusal names at most a hundred fields, and says how many more there are', async () => {
  const many = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`contnet${index}`, 1]));
  const batch = Array.from({ length: 3 }, () => ({ ...many, recipient: 'bob', content: 1 }));
  const answer = await rawRequest(server.port, post(JSON.stringify(batch)));
  expect(errorPaths(answer)).toHaveLength(100);
  expect((answer.body as { detail: string }).detail).toMatch(/ 269 more problems, see errors\.$/);
});
