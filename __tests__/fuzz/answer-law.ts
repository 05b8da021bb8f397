/** The laws of every answer, whatever was asked. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WireMessage } from '../support/api.ts';
import type { HostileRequest } from './hostile-request.ts';
import { isProblemType } from '../support/problems.ts';
import { ACCEPT } from '../support/raw-socket.ts';
import { headerOf, type WireAnswer } from './wire-answer.ts';

/** The one page of another site that a service with a key lets in. */
export const CORS_ORIGIN = 'https://app.example';

const HEADERS = new Set(
  (
    'date connection keep-alive content-type content-length cache-control x-content-type-options vary ' +
    'cross-origin-resource-policy cross-origin-opener-policy www-authenticate allow location retry-after set-cookie tidings-page ' +
    'x-accel-buffering etag last-modified x-request-id access-control-allow-origin access-control-allow-credentials ' +
    'access-control-allow-methods access-control-allow-headers access-control-expose-headers access-control-max-age ' +
    'upgrade sec-websocket-version sec-websocket-accept content-security-policy origin-agent-cluster referrer-policy x-dns-prefetch-control x-download-options ' +
    'x-frame-options x-permitted-cross-domain-policies x-xss-protection'
  ).split(' '),
);
const ONCE = ['content-type', 'content-length', 'location', 'set-cookie', 'access-control-allow-origin'];
const COOKIE =
  /^tidings=[\w-]*(\.[\w-]*\.[\w-]*)?; Path=\/; Expires=[A-Z][a-z]{2}, [\w :]+ GMT; HttpOnly; SameSite=Strict$/;
const LEAKS = /node_modules|\.[jt]s:\d|\bSELECT\b|SQLITE|sqlite|tidings-test|\bat \S+ \(|dist\//;
const LOOPBACK_ORIGIN = /^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

const PUBLIC = join(import.meta.dirname, '../../public');
const FILES = readdirSync(PUBLIC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => readFileSync(join(entry.parentPath, entry.name)));

/** Returns the laws that an answer breaks; none if it breaks none. */
export function faultsOf(answer: WireAnswer, request: HostileRequest, open: boolean): string[] {
  const faults: string[] = [];
  const law = (holds: boolean, fault: string): void => {
    if (!holds) faults.push(fault);
  };
  const { status, headers } = answer;
  const type = headerOf(answer, 'content-type');
  law(status === 101 || (status >= 200 && status < 500), `status ${status}`);
  for (const [name] of headers) law(HEADERS.has(name.toLowerCase()), `a header that nobody sends: ${name}`);
  for (const name of ONCE) {
    law(headers.filter(([one]) => one.toLowerCase() === name).length <= 1, `${name} twice`);
  }
  const location = headerOf(answer, 'location');
  law(location === '' || (status === 201 && /^\/messages\/\d+$/.test(location)), `Location: ${location}`);
  const cookie = headerOf(answer, 'set-cookie');
  law(cookie === '' || (status < 300 && COOKIE.test(cookie)), `Set-Cookie: ${cookie}`);
  law(cookie === '' || !request.barred || request.person === undefined, 'a session ended by another site');
  const origin = headerOf(answer, 'access-control-allow-origin');
  law(
    origin === '' || (open ? LOOPBACK_ORIGIN.test(origin) : origin === CORS_ORIGIN),
    `Access-Control-Allow-Origin: ${origin}`,
  );
  if (status >= 400) {
    if (type !== '' || answer.body.length > 0) faults.push(...faultsOfProblem(answer));
    law(type !== '' || request.method === 'HEAD', 'a refusal without a problem');
    law(status !== 426 || headerOf(answer, 'upgrade') === 'websocket', 'no Upgrade');
    law(status !== 405 || headerOf(answer, 'allow') !== '', 'no Allow');
    law(status !== 401 || headerOf(answer, 'www-authenticate').startsWith('Bearer '), 'no challenge');
  } else if (status === 101) {
    // Whether to whom it was opened, what is said on it tells.
    law(!(open && request.barred), 'let in from elsewhere');
    law(headerOf(answer, 'sec-websocket-accept') === ACCEPT, 'no Sec-WebSocket-Accept');
  } else {
    law(!(open && request.barred), 'let in from elsewhere');
    faults.push(...faultsOfContent(answer, request, type));
  }
  return faults;
}

function faultsOfProblem({ status, headers, body }: WireAnswer): string[] {
  const type = headerOf({ status, headers, body }, 'content-type');
  const text = body.toString();
  if (type !== 'application/problem+json') return [`a refusal as ${type}`];
  if (LEAKS.test(text)) return ['a leak'];
  // An answer to HEAD.
  if (text === '') return [];
  let problem: Record<string, unknown>;
  try {
    problem = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return ['a problem that is no JSON'];
  }
  const { type: kind, title, detail, errors = [], ...rest } = problem;
  const good =
    isProblemType(kind, status) &&
    typeof title === 'string' &&
    typeof detail === 'string' &&
    detail !== '' &&
    rest['status'] === status &&
    Object.keys(rest).length === 1 &&
    Array.isArray(errors) &&
    errors.every(
      (error: Record<string, unknown>) =>
        typeof error['path'] === 'string' && typeof error['message'] === 'string',
    );
  return good ? [] : ['a problem of another form'];
}

function faultsOfContent(answer: WireAnswer, request: HostileRequest, type: string): string[] {
  const { status, body } = answer;
  const isData = type.startsWith('application/json') || type === 'text/event-stream';
  if (isData) {
    if (headerOf(answer, 'x-content-type-options') !== 'nosniff') return ['data without nosniff'];
    if (!/^no-(store|cache)/.test(headerOf(answer, 'cache-control'))) return ['data that caches keep'];
  } else if (type.startsWith('text/plain')) {
    return request.person?.maySeeMetrics === true ? [] : ['metrics'];
  } else if (body.length > 0 && !FILES.some((file) => file.equals(body))) {
    return ['a file that is not of the page'];
  }
  if (!type.startsWith('application/json')) return [];
  if (body.length === 0) return status === 200 ? [] : ['nothing'];
  const value = JSON.parse(body.toString()) as Record<string, unknown>;
  if (value['status'] === 'ok' || value['status'] === 'ready') return [];
  if (request.barred || request.person === undefined) return ['data without a good token'];
  const { person } = request;
  const faults = messagesOf(value)
    .filter((message) => !(person.mayRead(message) || (request.method !== 'GET' && person.maySend(message))))
    .map((message) => `not for ${person.name}: ${JSON.stringify(message)}`);
  for (const [address, state] of Object.entries(value)) {
    const isPresence = typeof state === 'object' && state !== null && 'lastSeen' in state;
    if (isPresence && !person.maySee(address)) faults.push(`presence not for ${person.name}: ${address}`);
  }
  return faults;
}

/** The stored messages that an answer's JSON shows. */
export function messagesOf(value: unknown): WireMessage[] {
  if (Array.isArray(value)) return value.flatMap(messagesOf);
  if (typeof value !== 'object' || value === null) return [];
  const fields = value as Record<string, unknown>;
  if (typeof fields['id'] === 'number' && typeof fields['sender'] === 'string') {
    return [value as WireMessage];
  }
  return [fields['messages'], fields['conversations'], fields['lastMessage']].flatMap(messagesOf);
}
