import type { Logger } from 'pino';

/** Whether the servers of NATS flush messages to disk before they acknowledge them. */
export type Flushing = 'yes' | 'no' | 'unknown';

/** Whether one server of NATS, identified by its monitoring port, flushes. */
export interface ServerFlushing {
  /** The URL of the monitoring port. */
  readonly url: string;
  /** The server's name in its cluster; `undefined` if it could not be asked. */
  readonly name: string | undefined;
  readonly flushes: Flushing;
  /** Why it is unknown; `undefined` if it is known. */
  readonly why: string | undefined;
}

const ANSWER_MILLISECONDS = 2000;

/** The maximum size of an answer. A normal one has some kilobytes. */
const MAX_BYTES = 1024 * 1024;

/** The part of the answer of `/varz` that is read. `sync_always` is omitted if it is false. */
interface Varz {
  readonly server_name?: unknown;
  readonly jetstream?: {
    readonly config?: { readonly sync_always?: unknown; readonly sync_interval?: unknown };
  };
}

/**
 * Asks servers of NATS whether they flush. Clients cannot see it, but the monitoring ports report it.
 *
 * @param urls the URLs of monitoring ports, without a trailing slash
 * @returns an answer for each URL, in order, within about two seconds; never rejects
 */
export function askFlushing(urls: readonly string[]): Promise<readonly ServerFlushing[]> {
  return Promise.all(urls.map(askServer));
}

/** Returns whether all servers flush: `no` if one does not, else `unknown` if one is unknown or there are none. */
export function flushingOfAll(servers: readonly ServerFlushing[]): Flushing {
  const answers = new Set(servers.map(({ flushes }) => flushes));
  if (answers.has('no')) return 'no';
  return answers.has('unknown') || answers.size === 0 ? 'unknown' : 'yes';
}

/** Returns why it is unknown whether all servers flush, in words; `undefined` if it is known. */
export function whyUnknown(servers: readonly ServerFlushing[]): string | undefined {
  if (servers.length === 0) return 'NATS_MONITOR_URL is not set';
  if (flushingOfAll(servers) !== 'unknown') return undefined;
  return servers.flatMap(({ url, why }) => (why === undefined ? [] : [`${url}: ${why}`])).join('; ');
}

/** Asks all servers once, and logs a warning for each that does not flush or cannot be asked. Never rejects. */
export async function warnUnlessFlushing(
  urls: readonly string[],
  logger: Logger,
): Promise<readonly ServerFlushing[]> {
  if (urls.length === 0) {
    logger.warn(
      'it is unknown whether NATS flushes before it acknowledges: set NATS_MONITOR_URL to the monitoring ports of its servers',
    );
  }
  const servers = await askFlushing(urls);
  for (const { url, name, flushes, why } of servers) {
    if (flushes === 'no') {
      logger.warn(
        { url, name },
        'a server of NATS does not flush before it acknowledges: a power cut can lose messages. ' +
          'Set sync_interval: always in its jetstream { … }',
      );
    } else if (flushes === 'unknown') {
      logger.warn(
        { url, why },
        'a server of NATS does not say whether it flushes before it acknowledges: NATS_MONITOR_URL must be its monitoring port',
      );
    }
  }
  return servers;
}

async function askServer(url: string): Promise<ServerFlushing> {
  try {
    const answer = await fetch(`${url}/varz`, { signal: AbortSignal.timeout(ANSWER_MILLISECONDS) });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    return { url, ...readVarz(await textOf(answer)) };
  } catch (error) {
    return { url, name: undefined, flushes: 'unknown', why: whyOf(error as Error) };
  }
}

function readVarz(text: string): Omit<ServerFlushing, 'url'> {
  const varz = JSON.parse(text) as Varz | null;
  const name = typeof varz?.server_name === 'string' ? varz.server_name : undefined;
  const config = varz?.jetstream?.config;
  if (config === undefined) return { name, flushes: 'unknown', why: 'it has no JetStream' };
  return { name, flushes: config.sync_always === true ? 'yes' : 'no', why: undefined };
}

async function textOf(answer: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += (part as Uint8Array).length;
    if (bytes > MAX_BYTES) throw new Error(`its answer has more than ${MAX_BYTES} bytes`);
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts).toString();
}

/** Returns the reason of a failed request. The error of `fetch` says little, but its cause has the code. */
function whyOf(error: Error): string {
  if (error.name === 'TimeoutError') return `it does not answer within ${ANSWER_MILLISECONDS} ms`;
  const { code, message } = (error.cause ?? error) as NodeJS.ErrnoException;
  return error instanceof SyntaxError ? 'its answer is not JSON' : (code ?? message);
}
