// Publishers that go on whatever happens, and note the times without an answer.
import { setTimeout as sleep } from 'node:timers/promises';
import { RequestConnection } from './connection.js';
import { LongestGap } from './longest-gap.js';
import { serve } from './remote.js';
import { now, Template } from './template.js';

serve({ begin, mark, gaps, end });

/** The number of publishers for each server. */
const PUBLISHERS = 4;

/** A publisher's pause after an answer, and after a failure. */
const PAUSE_MILLISECONDS = 20;

/** A publisher that has got no answer by then closes the connection. */
const PATIENCE_MILLISECONDS = 40_000;

/** By port. @type {Map<number, LongestGap>} */
let times = new Map();
let isOver = false;
/** @type {Promise<unknown>} */
let publishing = Promise.resolve();

/**
 * Begins to publish, and returns without waiting.
 *
 * @param {{ texts: readonly (readonly [number, string])[] }} options the port of each server, and the request
 */
function begin({ texts }) {
  isOver = false;
  mark({ ports: texts.map(([port]) => port) });
  publishing = Promise.all(
    texts.flatMap(([port, text], server) =>
      Array.from({ length: PUBLISHERS }, (_, index) => goOn(port, text, server * PUBLISHERS + index)),
    ),
  );
}

/**
 * Forgets all earlier answers.
 *
 * @param {{ ports: readonly number[] }} options
 */
function mark({ ports }) {
  times = new Map(ports.map((port) => [port, new LongestGap(now())]));
}

/**
 * @param {{ ports: readonly number[] }} options
 * @returns {{ longest: number, successes: number }[]} for each server, the longest time without an answer, in
 *   microseconds, and the number of answers
 */
function gaps({ ports }) {
  return ports.map((port) => {
    const gap = times.get(port);
    return { longest: gap?.longest(now()) ?? NaN, successes: gap?.successes ?? 0 };
  });
}

/** Stops publishing, and waits until it has ended. */
async function end() {
  isOver = true;
  await publishing;
}

/**
 * @param {number} port
 * @param {string} text
 * @param {number} publisher
 */
async function goOn(port, text, publisher) {
  const template = new Template(text);
  let connection = connect(port);
  for (let sent = 0; !isOver; sent++) {
    template.number(publisher, sent);
    const isAnswered = await answered(connection, template.bytes);
    if (isAnswered) {
      times.get(port)?.succeeded(now());
    } else {
      connection.close();
      connection = connect(port);
    }
    await sleep(PAUSE_MILLISECONDS);
  }
  connection.close();
}

/** @param {number} port */
function connect(port) {
  const connection = new RequestConnection(port);
  connection.opened.catch(() => undefined);
  return connection;
}

/**
 * @param {RequestConnection} connection
 * @param {Buffer} bytes
 * @returns {Promise<boolean>} whether the answer was a success
 */
function answered(connection, bytes) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE_MILLISECONDS);
    connection.send(bytes, (error) => {
      clearTimeout(timer);
      resolve(error === undefined);
    });
  });
}
