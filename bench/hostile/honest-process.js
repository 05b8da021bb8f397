// The honest clients of an attacked service, as one process: publishers, streams, and a client that asks for its
// health.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '../client/remote.js';
import { HonestStream } from './honest-stream.js';
import { PacedRequests } from './paced-requests.js';
import { requestBytes } from './wire.js';

serve({ open, warm, measure, calm, verify });

const PUBLISHES = 50;
const HEALTH_QUESTIONS = 20;
const STREAMS = 200;

/** The streams are spread over these. */
const INBOXES = Array.from({ length: 20 }, (_, index) => `honest-${index}`);

/** Connections that are being opened at once. */
const OPENING = 50;

/** A service is at rest if it answers this many publishes in a row, each within this many milliseconds. */
const CALM_PUBLISHES = 5;
const CALM_MILLISECONDS = 50;
const CALM_PATIENCE = 5000;

/** A message that has not come to a stream by then is lost. */
const PATIENCE = 5000;

const FILLING = 'x'.repeat(80);

/** @type {{ stream: HonestStream, inbox: number }[]} */
let streams = [];
let count = 0;
/** The numbers of the acknowledged messages, for each inbox. */
const acknowledged = INBOXES.map(() => /** @type {number[]} */ ([]));
/** @type {Record<'publish' | 'health' | 'control', PacedRequests>} */
let paced;

/**
 * Opens the streams, and notes where to send requests.
 *
 * @param {{ port: number, pid: number, control: number, publishers: readonly string[], readers: readonly string[] }} options
 *   `control`: the port of a server that does nothing; `publishers`, `readers`: tokens
 */
async function open({ port, pid, control, publishers, readers }) {
  paced = {
    publish: new PacedRequests(port, PUBLISHES, () => nextPublish(publishers)),
    health: new PacedRequests(
      port,
      HEALTH_QUESTIONS,
      () => ({ bytes: requestBytes('/healthz') }),
      () => computedBy(pid),
    ),
    control: new PacedRequests(control, HEALTH_QUESTIONS, () => ({
      bytes: requestBytes('/', { method: 'POST', body: '{}' }),
    })),
  };
  while (streams.length < STREAMS) {
    const some = Array.from({ length: OPENING }, (_, place) => {
      const index = streams.length + place;
      const inbox = index % INBOXES.length;
      const token = readers[index % readers.length] ?? '';
      return { stream: new HonestStream(port, token, INBOXES[inbox] ?? ''), inbox };
    });
    await Promise.all(some.map(({ stream }) => stream.live));
    streams = [...streams, ...some];
  }
}

/**
 * Returns how long the first thread of a process has computed, without its waits for a core.
 *
 * @param {number} pid
 * @returns {number} milliseconds; NaN if the process has ended
 */
function computedBy(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return NaN;
  }
}

/** @param {readonly string[]} tokens that take turns */
function nextPublish(tokens) {
  const number = count++;
  const token = tokens[number % tokens.length];
  const inbox = number % INBOXES.length;
  const body = JSON.stringify({ recipient: INBOXES[inbox], content: `${number} ${FILLING}` });
  const bytes = requestBytes('/messages', { method: 'POST', token, body });
  return { bytes, onAnswer: () => void acknowledged[inbox]?.push(number) };
}

/**
 * Publishes, so that V8 compiles the service's code that runs often.
 *
 * @param {{ port: number, token: string, requests: number }} options `token`: may publish as fast as it likes
 */
async function warm({ port, token, requests }) {
  const body = JSON.stringify({ recipient: 'warm-up', content: FILLING });
  const bytes = requestBytes('/messages', { method: 'POST', token, body });
  await new PacedRequests(port, 0, () => ({ bytes })).rush(requests, 32);
  await paced.health.rush(requests, 8);
}

/**
 * Loads the service for a time.
 *
 * @param {{ seconds: number }} options
 * @returns {Promise<Record<'publish' | 'health' | 'control', import('./paced-requests.js').Outcome>>}
 */
async function measure({ seconds }) {
  const [publish, health, control] = await Promise.all([
    paced.publish.run(seconds),
    paced.health.run(seconds),
    paced.control.run(seconds),
  ]);
  return { publish, health, control };
}

/**
 * Waits until the service is at rest.
 *
 * @returns {Promise<boolean>} whether it came to rest within some seconds
 */
async function calm() {
  const until = performance.now() + CALM_PATIENCE;
  for (let quick = 0; quick < CALM_PUBLISHES;) {
    if (performance.now() > until) return false;
    await sleep(50);
    quick = (await paced.publish.once()) < CALM_MILLISECONDS ? quick + 1 : 0;
  }
  return true;
}

/**
 * Checks that each stream has got every acknowledged message, once and in order.
 *
 * @returns {Promise<string[]>} the fault of each stream that has not
 */
async function verify() {
  const complaints = () =>
    streams
      .map(({ stream, inbox }) => stream.complaint(acknowledged[inbox] ?? []))
      .filter((complaint) => complaint !== undefined);
  for (let waited = 0; waited < PATIENCE && complaints().length > 0; waited += 100) await sleep(100);
  return complaints();
}
