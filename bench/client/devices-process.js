// The devices of a run, as one process.
import { setTimeout as sleep } from 'node:timers/promises';
import { Device } from './device.js';
import { percentiles } from './percentiles.js';
import { Refused, serve } from './remote.js';
import { now, STAMP_LENGTH, STAMP_START } from './template.js';

serve({ open, begin, through, verify, latencies, close });

/** Connections that are being opened at once: a server's queue for them may be short. */
const OPENING = 200;

/** @type {Device[]} */
let devices = [];
let seen = 0;
/** Microseconds. @type {number[]} */
let times = [];
/** @type {string | undefined} */
let failure;
/** Wakes the code that waits for a change. @type {(() => void) | undefined} */
let onChange;

/** @type {import('./device.js').Watch} */
const watch = {
  last: Buffer.from('\0'),
  timing: false,
  onBytes: readStamps,
  onSeen: () => {
    if (++seen === devices.length) onChange?.();
  },
  onFailed: (why) => {
    failure ??= why;
    onChange?.();
  },
};

/**
 * Opens streams beside those that are open.
 *
 * @param {import('./device.js').Opening & { count: number }} opening
 */
async function open(opening) {
  const end = devices.length + opening.count;
  while (devices.length < end) {
    const first = devices.length;
    const some = Array.from({ length: Math.min(OPENING, end - first) }, (_, place) => {
      return new Device(opening, first + place, watch);
    });
    devices.push(...some);
    const failed = new Promise((resolve) => {
      onChange = () => resolve(undefined);
    });
    await Promise.race([failed, Promise.all(some.map((connection) => connection.live()))]);
    if (failure !== undefined) throw new Refused(failure);
  }
}

/**
 * Begins a run, and forgets everything that came before.
 *
 * @param {{ last: string, timing?: boolean }} options `last`: a text in the last message of each device; `timing`:
 *   whether to look for stamps
 */
function begin({ last, timing = false }) {
  watch.last = Buffer.from(last);
  watch.timing = timing;
  times = [];
  seen = 0;
  for (const connection of devices) connection.reset();
}

/**
 * @param {{ patience: number }} options milliseconds after which a message that has not come is lost
 * @returns {Promise<number>} when the last device had the last message
 */
async function through({ patience }) {
  if (seen < devices.length && failure === undefined) {
    const changed = new Promise((resolve) => {
      onChange = () => resolve(undefined);
    });
    await Promise.race([changed, sleep(patience)]);
  }
  if (failure !== undefined) throw new Refused(failure);
  if (seen < devices.length) {
    throw new Refused(`${devices.length - seen} devices have not had the last message after ${patience} ms`);
  }
  return now();
}

/**
 * Checks that nobody missed anything.
 *
 * @param {{ messages: number, own: boolean }} options how many each device should have got; `own`: in its own inbox;
 *   otherwise all devices have had the same bytes
 */
async function verify({ messages, own }) {
  // The end of the last frame may not have come yet.
  for (let tries = 0; tries < 200 && complaint(messages, own) !== undefined; tries++) await sleep(10);
  const found = complaint(messages, own);
  if (found !== undefined) throw new Refused(found);
}

/**
 * @param {number} messages
 * @param {boolean} own
 * @returns {string | undefined} what is wrong
 */
function complaint(messages, own) {
  const [first, ...others] = devices;
  const { witness } = first ?? {};
  if (witness?.fault !== undefined) return witness.fault;
  if (witness?.messages !== messages) {
    return `a device got ${witness?.messages ?? 0} messages instead of ${messages}`;
  }
  for (const other of others) {
    if (own && other.messages !== messages) {
      return `a device got ${other.messages} messages instead of ${messages}`;
    }
    if (!own && other.bytes !== first?.bytes) {
      return `a device got ${other.bytes} bytes, another ${first?.bytes}`;
    }
  }
  return undefined;
}

/** @param {Buffer} bytes */
function readStamps(bytes) {
  const arrived = now();
  for (let at = bytes.indexOf(STAMP_START); at !== -1; at = bytes.indexOf(STAMP_START, at + STAMP_LENGTH)) {
    const due = Number(bytes.toString('latin1', at + 1, at + STAMP_LENGTH - 1));
    if (due > 0) times.push(arrived - due);
  }
}

/** Returns the microseconds from when a message was due to its arrival. */
function latencies() {
  return percentiles(times);
}

/** Closes all streams. */
function close() {
  for (const connection of devices) connection.end();
  devices = [];
}
