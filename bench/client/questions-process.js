// A client that asks the same question again and again.
import { setTimeout as sleep } from 'node:timers/promises';
import { RequestConnection } from './connection.js';
import { percentiles } from './percentiles.js';
import { serve } from './remote.js';
import { now } from './template.js';

serve({ ask, answers });

/** Microseconds. @type {number[]} */
let times = [];
let asking = Promise.resolve();
let stopped = false;

/**
 * Begins to ask at set times, and returns without waiting.
 *
 * @param {{ port: number, text: string, rate: number }} options `rate`: questions a second
 */
function ask({ port, text, rate }) {
  times = [];
  stopped = false;
  asking = askAgain(new RequestConnection(port), Buffer.from(text), 1e6 / rate);
}

/**
 * Stops asking.
 *
 * @returns {Promise<import('./percentiles.js').Percentiles>} microseconds from when a question was due to its answer
 */
async function answers() {
  stopped = true;
  await asking;
  return percentiles(times);
}

/**
 * @param {RequestConnection} connection
 * @param {Buffer} request
 * @param {number} interval
 */
async function askAgain(connection, request, interval) {
  await connection.opened;
  for (let due = now(); !stopped; due += interval) {
    await sleep(Math.max(0, (due - now()) / 1000));
    await new Promise((resolve, reject) => {
      connection.send(request, (error) => (error === undefined ? resolve(undefined) : reject(error)));
    });
    times.push(now() - due);
  }
  connection.close();
}
