/** Parses the bytes that a server writes on a connection, strictly: no byte outside of an answer is ignored. */
import { connect } from 'node:net';

export interface WireAnswer {
  readonly status: number;
  /** In order, as they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface Exchange {
  readonly answers: readonly WireAnswer[];
  /** The fault in the form of an answer. */
  readonly fault: string | undefined;
  /** Whether the last answer goes on until the connection is closed. */
  readonly streaming: boolean;
  /** Whether the server neither answered nor closed. */
  readonly late?: boolean;
}

/** Returns the values of a header, joined; an empty text if there are none. */
export function headerOf({ headers }: WireAnswer, name: string): string {
  return headers
    .filter(([one]) => one.toLowerCase() === name)
    .map(([, value]) => value)
    .join(', ');
}

/** Takes apart what has come so far. @param bodiless whether the first answer is one to HEAD */
function readAnswers(received: Buffer, bodiless: boolean): Exchange {
  const answers: WireAnswer[] = [];
  let rest = received;
  const done = (fault?: string, streaming = false): Exchange => ({ answers, fault, streaming });
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) return done(/^(H|HT|HTTP.*)$/s.test(rest.toString('latin1')) ? undefined : 'no answer');
    const [statusLine = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) [A-Za-z' -]+$/.exec(statusLine)?.[1]);
    if (Number.isNaN(status)) return done(`no status line: ${JSON.stringify(statusLine.slice(0, 200))}`);
    const headers: [string, string][] = [];
    for (const line of lines) {
      const [, name, value] = /^([A-Za-z-]+): ([\x20-\x7e]*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) return done(`no header: ${JSON.stringify(line)}`);
      headers.push([name, value]);
    }
    rest = rest.subarray(end + 4);
    const head: WireAnswer = { status, headers, body: rest };
    if (headerOf(head, 'transfer-encoding') !== '') return done('an answer in chunks');
    // From here on another protocol is spoken.
    if (status === 101) {
      answers.push(head);
      return done(undefined, true);
    }
    // Of a request that cannot be read, not even the method is known.
    const toHead = bodiless && answers.length === 0 && rest[0] !== 0x7b;
    const none = status < 200 || status === 204 || status === 304 || toHead;
    const length = headerOf(head, 'content-length');
    if (!none && length === '') {
      answers.push(head);
      return done(undefined, true);
    }
    const bytes = none ? 0 : Number(length);
    if (rest.length < bytes) return done();
    if (status >= 200) answers.push({ ...head, body: rest.subarray(0, bytes) });
    rest = rest.subarray(bytes);
  }
  return done();
}

export interface WireRequest {
  readonly bytes: Buffer;
  readonly method: string;
  /** Whether it is a request by the grammar of HTTP, to its end: an answer is due. */
  readonly whole: boolean;
}

const PATIENCE_MILLISECONDS = 60_000;
/** An incomplete request is given up after this time, and a stream when it has been silent for this time. */
const QUIET_MILLISECONDS = 40;
const MAX_OF_A_STREAM = 128 * 1024;

/** Sends bytes on a connection of their own, and settles with what came back. */
export async function ask(port: number, { bytes, method, whole }: WireRequest): Promise<Exchange> {
  const received: Buffer[] = [];
  let length = 0;
  let late = false;
  let last: Exchange = { answers: [], fault: undefined, streaming: false };
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
  await new Promise<void>((resolve) => {
    let quiet: NodeJS.Timeout | undefined;
    const patience = setTimeout(
      () => {
        late = true;
        socket.destroy();
      },
      whole ? PATIENCE_MILLISECONDS : 2000,
    );
    const giveUp = (): void => {
      clearTimeout(quiet);
      quiet = setTimeout(() => {
        if (last.streaming || last.answers.length > 0) socket.destroy();
        else socket.end();
      }, QUIET_MILLISECONDS);
    };
    if (!whole) giveUp();
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      length += chunk.length;
      last = readAnswers(Buffer.concat(received), method === 'HEAD');
      if (last.fault !== undefined || length > MAX_OF_A_STREAM) socket.destroy();
      else if (last.streaming || !whole) giveUp();
      else if (last.answers.length > 0) socket.destroy();
    });
    // A server that refuses a request may close before it has read all of it.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(patience);
      clearTimeout(quiet);
      resolve();
    });
  });
  return { ...last, late };
}
