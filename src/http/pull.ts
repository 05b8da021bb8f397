import type { Identity } from '../auth/identity.ts';
import type { ServerResponse } from 'node:http';
import { Refusal, unavailable } from '../errors.ts';
import type { Devices } from '../hub/devices.ts';
import { HeldPoll } from '../hub/held-poll.ts';
import type { Hub } from '../hub/hub.ts';
import type { Turns } from '../hub/turns.ts';
import type { Gap } from '../log/cursor.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { BackPage, Take } from '../log/store.ts';
import { messageJson } from '../message.ts';
import { onUnwatched } from '../unwatched.ts';
import { identityOf } from './authenticate.ts';
import type { Handler, RoutedRequest } from './handler.ts';
import { Page } from './page.ts';
import { forbidden, requireAll } from './permission.ts';
import { nonEmpty, Query } from './query.ts';
import { sendJson } from './send-json.ts';

const PARAMETERS = ['recipient', 'after', 'limit', 'wait', 'before', 'between'];
const LIMIT = { least: 1, most: 1000 };
const AFTER_LIMIT = 100;
const HISTORY_LIMIT = 50;
const MAX_WAIT_SECONDS = 60;

interface PullParts {
  readonly log: MessageLog;
  readonly hub: Hub;
  readonly turns: Turns;
  readonly devices: Devices;
}

/**
 * `GET /messages`, one of three forms: the inboxes after a cursor (`recipient…&after&limit&wait`), a page of one inbox
 * before an id (`recipient&before&limit`), the conversation of two addresses (`between&between&before&limit`).
 *
 * With a token, no `recipient` means its `sub`, and a conversation needs one address that the token may read.
 *
 * Answers `{"messages", "cursor", "more"}`: messages in ascending order, and none if there are none. The first form has
 * `gap`, and `cursor` is where to go on: after the page, or the head. The others have `before`, where to go on, if there
 * is more.
 */
export function pull(parts: PullParts): Handler {
  return async (request, response) => {
    const query = new Query(request.url, PARAMETERS);
    const identity = identityOf(request);
    const names = ['between', 'before', 'after', 'wait'].filter((name) => query.has(name));
    if (query.has('between')) {
      refuseMixed(query, 'between', ['recipient', 'after', 'wait']);
      answerConversation(parts.log, query, identity, response);
    } else if (query.has('before')) {
      refuseMixed(
        query,
        'before',
        names.filter((name) => name !== 'before'),
      );
      answerHistory(parts.log, query, identity, response);
    } else {
      await answerAfter(parts, query, identity, request, response);
    }
  };
}

/** `GET /messages/ID`: one message, or 404. */
export function message(log: MessageLog): Handler {
  return (request, response) => {
    new Query(request.url, []).check();
    const id = String(request.params['id']);
    const { read } = identityOf(request);
    const found = /^[1-9]\d{0,15}$/.test(id) ? log.message(Number(id)) : undefined;
    // What one may not read looks the same whether it exists or not.
    if (found === undefined || !(read.has(found.sender) || read.has(found.recipient)))
      throw new Refusal('not-found', 'There is no such message.');
    sendJson(response, messageJson(found));
  };
}

async function answerAfter(
  parts: PullParts,
  query: Query,
  identity: Identity,
  request: RoutedRequest,
  response: ServerResponse,
): Promise<void> {
  const inboxes = query.inboxes(identity.client);
  const after = nonEmpty(query.text('after')) ?? '0';
  const limit = query.integer('limit', AFTER_LIMIT, LIMIT);
  const wait = query.integer('wait', 0, { least: 0, most: MAX_WAIT_SECONDS });
  query.check();
  requireAll(identity.read, inboxes, 'recipient', 'read');
  const { log, devices } = parts;
  const start = log.locate(after, inboxes);
  const read = (): { page: Page; cursor: string; gap: Gap; more: boolean } => {
    const page = new Page(limit);
    const { more, through, purgedThrough } = log.readAfter(inboxes, start.after, ...readingInto(page, limit));
    const cursor = log.cursor(more ? through : Math.max(through, log.head));
    // As of the moment of reading: retention may have been at work while the poll was held.
    const gap = start.gap !== false || purgedThrough <= start.after ? start.gap : 'purged';
    return { page, cursor, gap, more };
  };
  let { page, ...facts } = read();
  if (
    wait > 0 &&
    request.method === 'GET' &&
    page.isEmpty &&
    !facts.more &&
    facts.gap === false &&
    !devices.ending
  ) {
    if (devices.notNow(identity.client) === 'over-limit') {
      throw unavailable('As many streams are open as the service takes; poll without wait, or later.', 5);
    }
    const end = new AbortController();
    response.once('close', () => end.abort());
    onUnwatched(request, () => end.abort());
    if (request.socket.destroyed) return;
    const mayRead = await HeldPoll.hold(parts, inboxes, identity, wait * 1000, end.signal);
    if (response.destroyed) return;
    if (mayRead) ({ page, ...facts } = read());
  }
  page.send(response, 'messages', facts);
}

function answerHistory(log: MessageLog, query: Query, identity: Identity, response: ServerResponse): void {
  const inboxes = query.inboxes(identity.client);
  if (inboxes.length > 1) query.fault('recipient', 'must be given once with "before"');
  const before = query.before() ?? log.head + 1;
  const limit = query.integer('limit', HISTORY_LIMIT, LIMIT);
  query.check();
  requireAll(identity.read, inboxes, 'recipient', 'read');
  const page = new Page(limit);
  sendBack(response, log, page, log.readBack(inboxes, before, ...readingInto(page, limit)));
}

function answerConversation(
  log: MessageLog,
  query: Query,
  { read }: Identity,
  response: ServerResponse,
): void {
  // One address given twice is what it sent to itself.
  const [one, other = one] =
    query.count('between') === 2 ? query.addresses('between', { least: 1, most: 2 }) : [];
  if (one === undefined) query.fault('between', 'must be given twice, with the two addresses');
  const before = query.before() ?? log.head + 1;
  const limit = query.integer('limit', HISTORY_LIMIT, LIMIT);
  query.check();
  if (one === undefined || other === undefined) return;
  if (!read.has(one) && !read.has(other)) {
    throw forbidden([{ path: '/between', message: 'has no address that the token\'s "read" names' }]);
  }
  const page = new Page(limit);
  sendBack(response, log, page, log.readConversation([one, other], before, ...readingInto(page, limit)));
}

function refuseMixed(query: Query, form: string, others: readonly string[]): void {
  for (const name of others) if (query.has(name)) query.fault(name, `cannot be given with "${form}"`);
  query.check();
}

/** Reads into a page: how many to look at, one more than fit, to know whether there are more; and what to do with each. */
function readingInto(page: Page, limit: number): [lookAt: number, take: Take] {
  return [limit + 1, (found) => page.add(messageJson(found))];
}

/** Answers with a page that was read back. Its cursor is the head: a stream opened with it has all that follows. */
function sendBack(response: ServerResponse, log: MessageLog, page: Page, { more, before }: BackPage): void {
  page.reverse();
  page.send(response, 'messages', { cursor: log.cursor(log.head), more, ...(more ? { before } : {}) });
}
