import { calibrated } from './calibrated.js';
import { LoadClient, PATIENCE } from './client/load-client.js';
import { Remote } from './client/remote.js';
import { CONTENT, lastContent } from './client/template.js';
import { tidings } from './peers/tidings.js';
import { figureText } from './samples.js';

/** A frame as long as those of the service; the witness counts its mark. */
const FRAME = `data: {"id":100000,"sender":"alice","recipient":"inbox","type":"message","content":"${CONTENT}","createdAt":"2026-01-01T00:00:00.000Z"}\nid: 100000-abcdef\n\n`;
const DEVICES = 1000;

/**
 * The most that the load client can do by itself, against a server that does next to nothing. A figure near it says
 * more about the client than about the server.
 */
export class Ceiling {
  #seconds;
  #progress;
  /** @type {Map<string, number>} */
  #measured = new Map();

  /**
   * @param {number} seconds that a measurement takes
   * @param {(line: string) => void} progress
   */
  constructor(seconds, progress) {
    this.#seconds = seconds;
    this.#progress = progress;
  }

  /** Returns the measurements as lines. */
  get lines() {
    return [...this.#measured].map(([what, rate]) => `${what}: ${figureText(rate)}/s`);
  }

  /**
   * @param {number} inFlight
   * @param {number} [batch] messages in a request
   * @returns {Promise<number>} messages a second that it publishes
   */
  posts(inFlight, batch = 1) {
    const what = `messages published, ${inFlight} in flight${batch === 1 ? '' : ` in batches of ${batch}`}`;
    return this.#once(what, async () => {
      const server = new Remote(new URL('client/bare-process.js', import.meta.url));
      const port = await server.call('listen', { answer: FRAME.repeat(batch) });
      const load = new LoadClient(tidings, { port: Number(port), cpuSeconds: () => 0 });
      const run = await calibrated(this.#seconds, { least: inFlight }, (requests) =>
        load.publish({ inFlight, requests, batch }),
      );
      await load.stop();
      await server.stop();
      return run.messages / run.seconds;
    });
  }

  /**
   * @param {number} frames in one write to a device
   * @param {boolean} [counted] whether each device counts its messages, as it does if it has its own inbox
   * @returns {Promise<number>} events a second that 1,000 devices take
   */
  events(frames, counted = false) {
    const what = `events taken, ${frames} in a write${counted ? ', counted' : ''}`;
    return this.#once(what, async () => {
      const server = new Remote(new URL('client/bare-process.js', import.meta.url));
      const devices = new Remote(new URL('client/devices-process.js', import.meta.url));
      const port = await server.call('listen', { answer: '' });
      const text = tidings.stream(Number(port), ['inbox']);
      const last = '!ceiling';
      const end = FRAME.replace(CONTENT, lastContent(last));
      const opening = { port, text, live: '\r\n\r\n', chunked: false, inOrder: false, own: counted };
      await devices.call('open', { ...opening, count: DEVICES });
      const run = await calibrated(this.#seconds, { first: 4 }, async (times) => {
        await devices.call('begin', { last });
        const began = await server.call('write', { slice: FRAME.repeat(frames), times, end });
        const through = await devices.call('through', { patience: PATIENCE });
        await devices.call('verify', { messages: times * frames, own: counted });
        return { seconds: (Number(through) - Number(began)) / 1e6, deliveries: times * frames * DEVICES };
      });
      await devices.stop();
      await server.stop();
      return run.deliveries / run.seconds;
    });
  }

  /**
   * @param {string} what
   * @param {() => Promise<number>} measure
   */
  async #once(what, measure) {
    const known = this.#measured.get(what);
    if (known !== undefined) return known;
    const rate = await measure();
    this.#measured.set(what, rate);
    this.#progress(`load client alone, ${what}: ${figureText(rate)}/s`);
    return rate;
  }
}
