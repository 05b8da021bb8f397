import type { Identity } from '../auth/identity.ts';
import type { ServerResponse } from 'node:http';
import { Refusal, unavailable } from '../errors.ts';
import type { Devices } from '../hub/devices.ts';
import { HeldPoll } from '../hub/held-poll.ts';
import type { Hub } from '../hub/hub.ts';
import type { Turns } from '../hub/turns.ts';
import type { Gap } from '../log/cursor.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { Take } from '../log/store.ts';
import { messageJson } from '../message.ts';
import { identityOf } from './authenticate.ts';
import type { Handler, RoutedRequest } from './handler.ts';
import { forbidden, notNamed, requireAll } from './permission.ts';
import { nonEmpty, Query } from './query.ts';
import { sendJson } from './send-json.ts';

const PARAMETERS = ['recipient', 'after', 'limit', 'wait', 'before', 'between'];
const LIMIT = { least: 1, most: 1000 };
const AFTER_LIMIT = 100;
const HISTORY_LIMIT = 50;
const MAX_WAIT_SECONDS = 60;

/** A page is at most this long; `more` tells that there is another. */
const PAGE_BYTES = 1024 * 1024;

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
 * Answers `{"messages", "cursor", "more"}`, the first form with `gap`: messages in ascending order, and none where
 * there are none. `cursor` is where to go on: after the page, or the head.
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
  const read = (): { page: Page; gap: Gap } => {
    const page = new Page(limit);
    const end = log.readAfter(inboxes, start.after, page.lookAt, page.take);
    page.more = end.more;
    page.cursor = log.cursor(end.more ? end.through : Math.max(end.through, log.head));
    // As of the moment of reading: retention may have been at work while the poll was held.
    return { page, gap: start.gap !== false || end.purgedThrough <= start.after ? start.gap : 'purged' };
  };
  let { page, gap } = read();
  if (
    wait > 0 &&
    request.method === 'GET' &&
    page.isEmpty &&
    !page.more &&
    gap === false &&
    !devices.ending
  ) {
    if (devices.notNow(identity.client) === 'over-limit') {
      throw unavailable('As many streams are open as the service takes; poll without wait, or later.', 5);
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    if (request.socket.destroyed) return;
    await HeldPoll.hold(parts, inboxes, identity, wait * 1000, gone.signal);
    if (gone.signal.aborted) return;
    ({ page, gap } = read());
  }
  page.send(response, { gap });
}

function answerHistory(log: MessageLog, query: Query, identity: Identity, response: ServerResponse): void {
  const inboxes = query.inboxes(identity.client);
  if (inboxes.length > 1) query.fault('recipient', 'must be given once with "before"');
  const before = query.before() ?? log.head + 1;
  const limit = query.integer('limit', HISTORY_LIMIT, LIMIT);
  query.check();
  requireAll(identity.read, inboxes, 'recipient', 'read');
  const page = new Page(limit);
  page.more = log.readBack(inboxes, before, page.lookAt, page.take);
  page.cursor = log.cursor(log.head);
  page.reverse();
  page.send(response);
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
    throw forbidden([
      { path: '/between', message: `needs one address that ${notNamed('read').replace('not ', '')}` },
    ]);
  }
  const page = new Page(limit);
  page.more = log.readConversation([one, other], before, page.lookAt, page.take);
  page.cursor = log.cursor(log.head);
  page.reverse();
  page.send(response);
}

function refuseMixed(query: Query, form: string, others: readonly string[]): void {
  for (const name of others) if (query.has(name)) query.fault(name, `cannot be given with "${form}"`);
  query.check();
}

/** The messages of one answer, as JSON, within its bounds. */
class Page {
  cursor = '0';
  more = false;
  readonly #limit: number;
  readonly #messages: string[] = [];
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many messages to look at: one more than fit, to know whether there are more. */
  get lookAt(): number {
    return this.#limit + 1;
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  readonly take: Take = (found) => {
    const json = messageJson(found);
    this.#bytes += Buffer.byteLength(json) + 1;
    if (this.#bytes > PAGE_BYTES || this.#messages.length === this.#limit) return false;
    this.#messages.push(json);
    return true;
  };

  reverse(): void {
    this.#messages.reverse();
  }

  send(response: ServerResponse, facts: { gap?: Gap } = {}): void {
    const rest = JSON.stringify({ cursor: this.cursor, ...facts, more: this.more });
    sendJson(response, `{"messages":[${this.#messages.join(',')}],${rest.slice(1)}`);
  }
}
