/** The table of the connection: every event in every state. */
import { describe, expect, test } from '@jest/globals';
import { initialState, next } from '../../public/client/machine.js';
import { Problem, Unreachable } from '../../public/client/errors.js';

type State = Parameters<typeof next>[0];
type Event = Parameters<typeof next>[1];

const STATES = [
  'new',
  'opening',
  'catching-up',
  'live',
  'waiting',
  'probing',
  'renewing',
  'polling',
  'trying',
  'stopped',
  'closed',
] as const;

const ended = (end: Extract<Event, { type: 'ended' }>['end']): Event => ({ type: 'ended', end });
const unauthorized: Event = { type: 'explained', fault: new Problem(401, 'expired') };
const forbidden: Event = { type: 'explained', fault: new Problem(403, 'not yours') };
const busy: Event = { type: 'explained', fault: new Problem(503, 'busy') };

/** Every event, by a short name. */
const EVENTS: Readonly<Record<string, Event>> = {
  start: { type: 'start' },
  ready: { type: 'ready' },
  live: { type: 'live' },
  time: { type: 'time' },
  reconnect: { type: 'reconnect' },
  offline: { type: 'offline' },
  rewatch: { type: 'rewatch' },
  close: { type: 'close' },
  'polls ended: unreachable': {
    type: 'polls-ended',
    fault: new Unreachable(new Error('reset'), 'no answer'),
  },
  'polls ended: 401': { type: 'polls-ended', fault: new Problem(401, 'expired') },
  'polls ended: 403': { type: 'polls-ended', fault: new Problem(403, 'not yours') },
  'a page': { type: 'page', more: false },
  'a page, and more': { type: 'page', more: true },
  renewed: { type: 'renewed', fault: undefined },
  'not renewed': { type: 'renewed', fault: new Unreachable(new Error('offline'), 'no session') },
  'explained: nothing': { type: 'explained', fault: undefined },
  'explained: 401': unauthorized,
  'explained: 403': forbidden,
  'explained: 503': busy,
  replaced: { type: 'session-lost', state: 'replaced' },
  'signed out': { type: 'session-lost', state: 'signed-out' },
  'ended: silent': ended('silent'),
  'ended: quiet': ended('quiet'),
  'ended: closed': ended('closed'),
  'ended: broken': ended('broken'),
  'ended: refused': ended('refused'),
  'ended: broken, and why': {
    type: 'ended',
    end: 'broken',
    fault: new Unreachable(new Error('thrown'), 'no token'),
  },
  'ended: shutdown': ended('shutdown'),
  'ended: token-expired': ended('token-expired'),
  'ended: too-slow': ended('too-slow'),
  'ended: over-limit': ended('over-limit'),
  'ended: behind': ended('behind'),
  'ended: disconnected': ended('disconnected'),
  'ended: unavailable': ended('unavailable'),
};

const OPEN = 'opening: connecting, stop-polls, open';
const LOST = 'closed: drop-stream, stop-polls';
const BEGUN = {
  reconnect: OPEN,
  offline: 'same: offline',
  close: LOST,
  replaced: `${LOST}, replaced`,
  'signed out': `${LOST}, signed-out`,
};
const STREAMING = {
  ...BEGUN,
  rewatch: OPEN,
  'ended: closed': OPEN,
  'ended: quiet': OPEN,
  'ended: silent': 'polling: poll, wait 60-60',
  'ended: refused': 'probing: connecting, probe',
  'ended: token-expired': 'renewing: expired, renew',
  'ended: disconnected': 'waiting: offline, wait 5-15',
  'ended: broken': 'waiting: offline, wait 1-4',
  'ended: unavailable': 'waiting: offline, wait 1-4',
  'ended: broken, and why': 'waiting: offline (no token), wait 1-4',
  'ended: over-limit': 'waiting: offline, wait 5-15',
  'ended: behind': 'waiting: offline, wait 5-15',
  'ended: shutdown': 'waiting: offline, wait 1-4',
  'ended: too-slow': 'waiting: offline, wait 1-4',
};
const POLLING = {
  ...BEGUN,
  offline: 'same: offline by polling',
  replaced: `${LOST}, replaced by polling`,
  'signed out': `${LOST}, signed-out by polling`,
  'a page': 'same: live by polling',
  'a page, and more': 'same: catching-up by polling',
  'polls ended: 401': 'renewing: drop-stream, stop-polls, expired by polling (expired), renew',
};

/** For each state, what follows from each event: the next state, and what is to be done. All other events change nothing. */
const TABLE: Readonly<Record<State['name'], Readonly<Record<string, string>>>> = {
  new: { start: OPEN, close: 'closed:' },
  opening: { ...STREAMING, ready: 'catching-up: catching-up' },
  'catching-up': { ...STREAMING, live: 'live: live' },
  live: STREAMING,
  waiting: { ...BEGUN, time: OPEN },
  probing: {
    ...BEGUN,
    'explained: nothing': 'waiting: offline, wait 1-2',
    'explained: 401': 'renewing: expired (expired), renew',
    'explained: 403': 'stopped: refused (not yours)',
    'explained: 503': 'waiting: offline (busy), wait 1-2',
  },
  renewing: {
    ...BEGUN,
    renewed: 'waiting: wait 0.5-1',
    'not renewed': 'waiting: offline (no session), wait 1-2',
  },
  polling: {
    ...POLLING,
    time: 'trying: open',
    'polls ended: unreachable': 'opening: offline by polling (no answer), open',
    'polls ended: 403': 'opening: offline by polling (not yours), open',
  },
  trying: {
    ...POLLING,
    ready: 'catching-up: stop-polls, catching-up',
    'polls ended: unreachable': 'opening: offline by polling (no answer)',
    'polls ended: 403': 'opening: offline by polling (not yours)',
    ...Object.fromEntries(
      Object.keys(EVENTS)
        .filter((name) => name.startsWith('ended: '))
        .map((name) => [name, 'polling: wait 60-60']),
    ),
  },
  stopped: BEGUN,
  closed: {},
};

function stateOf(name: State['name'], more: Partial<State> = {}): State {
  return { ...initialState('page', true), name, polls: name === 'polling' || name === 'trying', ...more };
}

/** Describes what follows from an event, as the table has it. */
function stepOf(state: State, event: Event): string | undefined {
  const { state: after, effects } = next(state, event);
  if (after === state && effects.length === 0) return undefined;
  const done = effects.map((effect) => {
    if (effect.do === 'wait') return `wait ${effect.min / 1000}-${effect.max / 1000}`;
    if (effect.do !== 'tell') return effect.do;
    const fault = effect.fault === undefined ? '' : ` (${effect.fault.message})`;
    return `${effect.state}${effect.transport === 'polling' ? ' by polling' : ''}${fault}`;
  });
  const begins = after.name !== state.name || done.includes('open');
  return `${begins ? after.name : 'same'}: ${done.join(', ')}`.trim();
}

describe.each(STATES)('a connection that is %s', (name) => {
  test.each(Object.keys(EVENTS))(`a client that is ${name} takes "%s" as the table says`, (event) => {
    expect(stepOf(stateOf(name), EVENTS[event] as Event)).toBe(TABLE[name][event]);
  });
});

test('an expired session stops a connection if nobody renews it, and a token is renewed without telling', () => {
  const nobody = stateOf('live', { renewal: undefined });
  expect(stepOf(nobody, ended('token-expired'))).toBe('stopped: expired');
  const token = stateOf('live', { renewal: 'token' });
  expect(stepOf(token, ended('token-expired'))).toBe('renewing: connecting, renew');
  // The token that is refused is a new one.
  expect(stepOf({ ...token, name: 'probing' }, unauthorized)).toBe('renewing: offline (expired), renew');
  expect(stepOf(stateOf('polling', { renewal: undefined }), EVENTS['polls ended: 401'] as Event)).toBe(
    'stopped: drop-stream, stop-polls, expired by polling (expired)',
  );
});

test('polls go on after a session was renewed that expired while polling', () => {
  const expired = next(stateOf('polling'), EVENTS['polls ended: 401'] as Event).state;
  const renewed = next(expired, { type: 'renewed', fault: undefined }).state;
  expect(stepOf(renewed, { type: 'time' })).toBe('polling: poll, wait 60-60');
  expect(stepOf(renewed, { type: 'reconnect' })).toBe(OPEN);
});

test('a connection without streams begins with polls, repeats them when they fail, and tries no stream', () => {
  const begun = next(initialState('page', false), { type: 'start' });
  expect(begun.effects).toEqual([
    { do: 'tell', state: 'connecting', transport: 'polling', fault: undefined },
    { do: 'poll' },
  ]);
  expect(stepOf(begun.state, EVENTS['polls ended: unreachable'] as Event)).toBe(
    'waiting: offline by polling (no answer), wait 1-2',
  );
  const failed = next(begun.state, EVENTS['polls ended: unreachable'] as Event).state;
  expect(stepOf(begun.state, EVENTS['polls ended: 403'] as Event)).toBe(
    'stopped: refused by polling (not yours)',
  );
  expect(stepOf(failed, { type: 'time' })).toBe('polling: poll');
});

test('the waits of a client grow with each failure up to 30 s, and begin short again at success or on request', () => {
  const waits: string[] = [];
  let state = stateOf('opening');
  for (let count = 0; count < 6; count++) {
    waits.push(stepOf(state, ended('broken')) ?? '');
    state = next(next(state, ended('broken')).state, { type: 'time' }).state;
  }
  expect(waits).toEqual(
    ['1-4', '2-4', '4-8', '8-16', '15-30', '15-30'].map((wait) => `waiting: offline, wait ${wait}`),
  );
  for (const again of [{ type: 'ready' }, { type: 'reconnect' }] as const)
    expect(stepOf(next(state, again).state, ended('broken'))).toBe('waiting: offline, wait 1-4');
});
