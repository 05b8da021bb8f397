import type { Identity } from '../../auth/identity.ts';
import type { ServerResponse } from 'node:http';
import { Refusal, unavailable } from '../../errors.ts';
import type { Connections } from '../../hub/connections.ts';
import { HeldPoll } from '../../hub/held-poll.ts';
import { HeldRequest } from '../../hub/held-request.ts';
import type { Hub } from '../../hub/hub.ts';
import type { FairScheduler } from '../../fair-scheduler.ts';
import type { Gap } from '../../log/cursor.ts';
import type { MessageLog } from '../../log/message-log.ts';
import type { BackPage, MessageVisitor } from '../../log/inboxes.ts';
import { messageJson } from '../../message.ts';
import { onUnwatched } from '../unwatched.ts';
import { identityOf } from '../authenticate.ts';
import type { Handler, RoutedRequest } from '../handler.ts';
import { Page } from '../page.ts';
import { addresses, BEFORE, cursor, inboxes, integer, NO_PARAMETERS } from '../parameters.ts';
import { forbidden, requireAll } from '../../auth/permission.ts';
import { nonEmpty, Query } from '../query.ts';
import { sendJson } from '../send-json.ts';
import { RETRY_REFUSED, spreadRetrySeconds } from '../../wire/server-events.ts';

const AFTER_LIMIT = 100;
const HISTORY_LIMIT = 50;

/** The parameters of `GET /messages`. */
export const PULL_PARAMETERS = {
  recipient: inboxes('The inboxes to read; with a token, by default its `sub`. `*` alone is the whole log.'),
  after: cursor('The cursor after which the messages begin; by default `0`, the beginning of the log.'),
  limit: integer(
    { min: 1, max: 1000 },
    `The maximum number of messages in a page; by default ${AFTER_LIMIT} after a cursor, else ${HISTORY_LIMIT}.`,
  ),
  wait: integer(
    { min: 0, max: 60 },
    'The seconds to wait for a message if there is none. Not with `before`.',
    0,
  ),
  before: BEFORE,
  between: addresses(
    { min: 2, max: 2 },
    'The messages that these two addresses sent to each other. Not with `recipient`, `after` or `wait`.',
  ),
};

interface PullParts {
  readonly log: MessageLog;
  readonly hub: Hub;
  readonly scheduler: FairScheduler;
  readonly connections: Connections;
}

/**
 * Serves `GET /messages` in one of three forms: the inboxes after a cursor (`recipient…&after&limit&wait`), a page of
 * the inboxes before an id (`recipient…&before&limit`), the conversation of two addresses
 * (`between&between&before&limit`).
 *
 * With a token, no `recipient` means its `sub`, and the token must allow reading one address of a conversation.
 *
 * Answers `{"messages", "cursor", "more"}`: messages in ascending order, or an empty list. The first form has `gap`,
 * and its `cursor` continues after the page, or at the head. The others have `before` to continue with if there is more.
 */
export function pull(parts: PullParts): Handler {
  return async (request, response) => {
    const query = new Query(request.url, PULL_PARAMETERS);
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

/** Serves `GET /messages/ID`: one message, or 404. */
export function message(log: MessageLog): Handler {
  return (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    const id = String(request.params['id']);
    const { read } = identityOf(request);
    const found = /^[1-9]\d{0,15}$/.test(id) ? log.message(Number(id)) : undefined;
    // A message that the client may not read looks the same whether it exists or not.
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
  const limit = query.integer('limit', AFTER_LIMIT, PULL_PARAMETERS.limit);
  const wait = query.integer('wait', 0, PULL_PARAMETERS.wait);
  query.check();
  requireAll(identity.read, inboxes, 'recipient', 'read');
  const { log, connections } = parts;
  const reached = log.reach(after);
  if (reached !== undefined) {
    admit(connections, identity);
    const isReached = await HeldRequest.catchUp(
      connections,
      reached,
      inboxes,
      identity,
      cutWith(request, response),
    );
    if (response.destroyed) return;
    if (!isReached) throw behind(connections);
  }
  const start = log.locate(after, inboxes);
  const read = (): { page: Page; cursor: string; gap: Gap; more: boolean } => {
    const page = new Page(limit);
    // Reading one more than fits shows whether there are more.
    const { more, through, purgedThrough } = log.readAfter(inboxes, start.after, limit + 1, addingTo(page));
    const cursor = log.cursor(more ? through : Math.max(through, log.head));
    // As of now: retention may have removed messages while the poll was held.
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
    !connections.ending
  ) {
    admit(connections, identity);
    const cut = cutWith(request, response);
    if (request.socket.destroyed) return;
    const mayRead = await HeldPoll.hold(parts, inboxes, parts.log.head, identity, wait * 1000, cut);
    if (response.destroyed) return;
    if (mayRead) ({ page, ...facts } = read());
  }
  page.send(response, 'messages', facts);
}

/** Checks that a request may be held. @throws {Refusal} 503 if the limit is reached */
function admit(connections: Connections, { client }: Identity): void {
  if (connections.refusalFor(client) !== 'over-limit') return;
  throw unavailable('The limit on open streams and held polls is reached; poll without wait, or later.', 5);
}

/** Returns a signal that is aborted when a client has left, or can no longer be watched. */
function cutWith(request: RoutedRequest, response: ServerResponse): AbortSignal {
  const end = new AbortController();
  response.once('close', () => end.abort());
  onUnwatched(request, () => end.abort());
  return end.signal;
}

/** Returns the refusal (503) of a cursor that this node has not reached. */
function behind({ ending }: Connections): Refusal {
  if (ending) return unavailable('The service is shutting down; poll again in a moment.', 2);
  return unavailable(
    'This node is behind the others, and cannot tell yet what comes after the cursor. Poll again later, or poll another node.',
    spreadRetrySeconds(RETRY_REFUSED),
  );
}

function answerHistory(log: MessageLog, query: Query, identity: Identity, response: ServerResponse): void {
  const inboxes = query.inboxes(identity.client);
  const before = query.before() ?? log.head + 1;
  const limit = query.integer('limit', HISTORY_LIMIT, PULL_PARAMETERS.limit);
  query.check();
  requireAll(identity.read, inboxes, 'recipient', 'read');
  const page = new Page(limit);
  sendBack(response, log, page, log.readBack(inboxes, before, addingTo(page)));
}

function answerConversation(
  log: MessageLog,
  query: Query,
  { read }: Identity,
  response: ServerResponse,
): void {
  // One address given twice asks for its messages to itself.
  const [one, other = one] =
    query.count('between') === PULL_PARAMETERS.between.max
      ? query.addresses('between', { min: 1, max: PULL_PARAMETERS.between.max })
      : [];
  if (one === undefined) query.fault('between', 'must be given twice, with the two addresses');
  const before = query.before() ?? log.head + 1;
  const limit = query.integer('limit', HISTORY_LIMIT, PULL_PARAMETERS.limit);
  query.check();
  if (one === undefined || other === undefined) return;
  if (!read.has(one) && !read.has(other)) {
    throw forbidden([{ path: '/between', message: 'has no address that the token\'s "read" allows' }]);
  }
  const page = new Page(limit);
  sendBack(response, log, page, log.readConversation([one, other], before, addingTo(page)));
}

function refuseMixed(query: Query, form: string, others: readonly string[]): void {
  for (const name of others) if (query.has(name)) query.fault(name, `cannot be given with "${form}"`);
  query.check();
}

/** Returns a visitor that adds messages to a page until it is full. */
function addingTo(page: Page): MessageVisitor {
  return (found) => page.add(messageJson(found));
}

/** Answers with a page that was read back. Its cursor is the head: a stream opened with it gets everything that follows. */
function sendBack(response: ServerResponse, log: MessageLog, page: Page, { more, before }: BackPage): void {
  page.reverse();
  page.send(response, 'messages', { cursor: log.cursor(log.head), more, ...(more ? { before } : {}) });
}
