/**
 * The state machine of the connection, as one table of states and events: the next state, and what to do. It
 * is pure: connection.js does it. docs/client.md has the diagram.
 */

/** @import { Fault } from './errors.js' */
/** @import { End } from './stream.js' */

import { backoff } from './backoff.js';
import { Problem } from './errors.js';

/**
 * The state of a connection, as a page sees it. `refused` and `expired` last until `reconnect`; `replaced`,
 * `signed-out` and `closed` are final.
 *
 * @typedef {'connecting' | 'catching-up' | 'live' | 'offline' | 'expired' | 'refused' | 'replaced' | 'signed-out' | 'closed'} ConnectionState
 */

/**
 * How messages come: through a stream, or by polls if streams do not get through.
 *
 * @typedef {'stream' | 'polling'} Transport
 */

/**
 * The state of the machine.
 *
 * - `new`: before the start
 * - `opening`: a stream was requested; `catching-up`: it is ready, and missed messages come; `live`: all came
 * - `waiting`: the next try comes later; `probing`: finds out why a stream was refused; `renewing`: gets a
 *   new session or token
 * - `polling`: polls replace streams; `trying`: a stream was asked for, and polls go on
 * - `stopped`: until `reconnect`; `closed`: permanently
 *
 * @typedef {'new' | 'opening' | 'catching-up' | 'live' | 'waiting' | 'probing' | 'renewing' | 'polling' | 'trying' | 'stopped' | 'closed'} StateName
 */

/**
 * @typedef {object} MachineState
 * @property {StateName} name
 * @property {number} tries failures since the last success
 * @property {boolean} polls whether polls, not a stream, follow `waiting` and `renewing`
 * @property {boolean} streams whether streams are tried at all
 * @property {'page' | 'token' | undefined} renewal who renews an expired session: the page (`onExpired`), or
 *   the function that gets tokens; `undefined`: nobody
 */

/**
 * An event. `ready`, `live` and `ended` come from the newest stream. `time`: the wait has ended. `explained`:
 * why a stream was refused. `polls-ended`: why polls have ended. `renewed`: why there is no new session or
 * token. The fault of these three is `undefined` if nothing is wrong. `rewatch`: the stream does not watch
 * all addresses. `session-lost`: another person has signed in, or this one has signed out.
 *
 * @typedef {{ type: 'start' | 'ready' | 'live' | 'time' | 'reconnect' | 'offline' | 'rewatch' | 'close' }
 *   | { type: 'ended', end: End, fault?: Fault | undefined }
 *   | { type: 'explained', fault: Fault | undefined }
 *   | { type: 'polls-ended', fault: Fault | undefined }
 *   | { type: 'renewed', fault: Fault | undefined }
 *   | { type: 'page', more: boolean }
 *   | { type: 'session-lost', state: 'replaced' | 'signed-out' }} MachineEvent
 */

/** @typedef {'open' | 'drop-stream' | 'probe' | 'renew' | 'poll' | 'stop-polls'} Command */

/**
 * An effect: something to do. `open` opens a stream, and closes the one before it; `probe` finds out why a
 * stream was refused, unless the fault says so; `wait` sets the only timer, which ends with its state.
 *
 * @typedef {{ do: Command, fault?: Fault | undefined }
 *   | { do: 'wait', min: number, max: number }
 *   | { do: 'tell', state: ConnectionState, transport: Transport, fault?: Fault | undefined }} Effect
 */

/** @typedef {{ state: MachineState, effects: readonly Effect[] }} Step */

/**
 * A range of milliseconds. Waits are random, so that not all clients of a restarted service return at once.
 *
 * @typedef {{ min: number, max: number }} Span
 */

/**
 * The outcome of an event: the next state, then the effects in order. Each effect is a command, a state to
 * tell the page, or a wait.
 *
 * @typedef {readonly [StateName, ...(Command | ConnectionState | Span)[]]} Outcome
 */

/** @template Event @typedef {Outcome | ((state: MachineState, event: Event) => Outcome)} Rule */

/** An event or an effect that may carry a fault. @typedef {{ fault?: Fault | undefined }} Failure */

/**
 * Rules by the type of the event, or by the reason for the end of a stream; `ended` covers all other reasons.
 *
 * @typedef {{ [Type in MachineEvent['type']]?: Rule<Extract<MachineEvent, { type: Type }>> }
 *   & { [Name in End]?: Rule<Failure> }} Rules
 */

const SOON = { min: 1000, max: 4000 };
const LATER = { min: 5000, max: 15_000 };

/** How often a stream is tried while polls go on. */
const TRIAL = { min: 60_000, max: 60_000 };

/** @type {readonly unknown[]} */
const COMMANDS = ['open', 'drop-stream', 'probe', 'renew', 'poll', 'stop-polls'];

/** @type {readonly Command[]} */
const STOP = ['drop-stream', 'stop-polls'];

/** The rules of every state between `new` and `closed`. @type {Rules} */
const COMMON = {
  reconnect: open,
  offline: ({ name }) => [name, 'offline'],
  close: ['closed', ...STOP],
  'session-lost': (_, { state }) => ['closed', ...STOP, state],
};

/** The rules of a stream, which may end in the same ways before and after `ready`. @type {Rules} */
const STREAMING = {
  ...COMMON,
  rewatch: open,
  closed: open,
  quiet: open,
  silent: poll,
  refused: ['probing', 'connecting', 'probe'],
  'token-expired': renew,
  'over-limit': retryLater,
  behind: retryLater,
  disconnected: retryLater,
  ended: (state) => retry(state, SOON),
};

/** @type {Rules} */
const POLLING = {
  ...COMMON,
  page: ({ name }, { more }) => [name, more ? 'catching-up' : 'live'],
  'polls-ended': afterRefusal,
};

/**
 * The table: for each state, the events that have an effect in it.
 *
 * @type {Readonly<Record<StateName, Rules>>}
 */
const TABLE = {
  new: { start: open, close: ['closed'] },
  opening: { ...STREAMING, ready: ['catching-up', 'catching-up'] },
  'catching-up': { ...STREAMING, live: ['live', 'live'] },
  live: STREAMING,
  waiting: { ...COMMON, time: (state) => (state.polls ? poll(state) : open(state)) },
  probing: { ...COMMON, explained: afterRefusal },
  renewing: {
    ...COMMON,
    // Wait: a session that expires at once would be renewed in an endless loop.
    renewed: (state, { fault }) =>
      fault === undefined ? ['waiting', backoff(state.tries - 1)] : retry(state),
  },
  polling: { ...POLLING, time: ['trying', 'open'] },
  trying: { ...POLLING, ready: ['catching-up', 'stop-polls', 'catching-up'], ended: ['polling', TRIAL] },
  stopped: COMMON,
  closed: {},
};

/**
 * Returns the state before `start`.
 *
 * @param {MachineState['renewal']} renewal
 * @param {boolean} streams whether streams are tried at all
 * @returns {MachineState}
 */
export function initialState(renewal, streams) {
  return { name: 'new', tries: 0, polls: false, streams, renewal };
}

/**
 * Returns the state that follows from an event, and the effects. An event without a rule changes nothing.
 *
 * @param {MachineState} state
 * @param {MachineEvent} event
 * @returns {Step}
 */
export function next(state, event) {
  const rules = /** @type {{ [name: string]: Rule<MachineEvent> | undefined }} */ (TABLE[state.name]);
  const { type, end = type, fault } = /** @type {Failure & { type: string, end?: string }} */ (event);
  const rule = rules[end] ?? rules[type];
  if (rule === undefined) return { state, effects: [] };
  const [name, ...done] = typeof rule === 'function' ? rule(state, event) : rule;
  const begins = type === 'ready' || type === 'reconnect';
  const tries = begins ? 0 : state.tries + (name === 'waiting' ? 1 : 0);
  const polls = name === 'polling' || name === 'trying' || (state.polls && name !== 'opening' && !begins);
  const effects = done.map((one) => {
    if (typeof one === 'object') return { do: 'wait', ...one };
    if (COMMANDS.includes(one)) return { do: one, fault };
    // `offline` is about the transport that has failed.
    const transport = (one === 'offline' ? state.polls : polls) ? 'polling' : 'stream';
    return { do: 'tell', state: one, transport, fault: one === 'connecting' ? undefined : fault };
  });
  return { state: { ...state, name, tries, polls }, effects: /** @type {Effect[]} */ (effects) };
}

/**
 * Begins with a stream, or with polls if streams are not tried.
 *
 * @param {MachineState} state
 * @returns {Outcome}
 */
function open({ streams }) {
  return streams ? ['opening', 'connecting', 'stop-polls', 'open'] : ['polling', 'connecting', 'poll'];
}

/** @param {MachineState} state @returns {Outcome} */
function poll({ streams }) {
  return streams ? ['polling', 'poll', TRIAL] : ['polling', 'poll'];
}

/**
 * Waits for the next try: longer after each failure, up to 30 s.
 *
 * @param {MachineState} state
 * @param {Span} [least]
 * @returns {Outcome}
 */
function retry({ tries }, least = backoff(0)) {
  const span = backoff(tries);
  return ['waiting', 'offline', span.max < least.max ? least : span];
}

/**
 * Waits longer: the service is too busy, or this node of it is cut off.
 *
 * @param {MachineState} state
 * @returns {Outcome}
 */
function retryLater(state) {
  return retry(state, LATER);
}

/** @param {MachineState} state @param {Failure} event @returns {Outcome} */
function afterRefusal(state, event) {
  const { fault } = event;
  if (fault instanceof Problem && fault.status === 401) return renew(state, event);
  // Polls failed: the stream that is tried next tells why. In `trying` it is being opened already.
  if (state.name === 'trying') return ['opening', 'offline'];
  if (state.polls && state.streams) return ['opening', 'offline', 'open'];
  return fault === undefined || fault.passes ? retry(state) : ['stopped', 'refused'];
}

/**
 * @param {MachineState} state
 * @param {Failure} event its fault is the refusal, if there was one
 * @returns {Outcome}
 */
function renew({ polls, renewal }, { fault }) {
  const stop = polls ? STOP : [];
  if (renewal === undefined) return ['stopped', ...stop, 'expired'];
  // The refused token was a new one: service.js has already tried another.
  const ofToken = fault === undefined ? 'connecting' : 'offline';
  return ['renewing', ...stop, renewal === 'page' ? 'expired' : ofToken, 'renew'];
}
