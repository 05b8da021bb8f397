import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { Duplex } from 'node:stream';
import { lookupPublic } from './public-address.ts';
import type { PushRequest } from './push-request.ts';

/** The answer of a push service. */
export interface PushAnswer {
  readonly status: number;
  /** Its header `Retry-After`. */
  readonly retryAfter: string | undefined;
}

/** The time from the lookup of the name to the end of the answer. */
const REQUEST_MILLISECONDS = 10_000;

/** An answer has a few hundred bytes. Its body is not used, and is read only so that the connection can be kept. */
const MAX_ANSWER_BYTES = 16_384;

/** Idle connections are closed after this time. */
const IDLE_MILLISECONDS = 30_000;

/** Idle connections to all push services together: each is an open file. */
const MAX_IDLE = 100;

/** An agent that keeps few connections: `maxFreeSockets` is per host, and a wildcard in PUSH_HOSTS has many hosts. */
class FewIdleAgent extends Agent {
  override keepSocketAlive(socket: Duplex): boolean {
    let idle = 0;
    for (const sockets of Object.values(this.freeSockets)) idle += sockets?.length ?? 0;
    if (idle >= MAX_IDLE) return false;
    // It returns whether to keep the connection, although its type does not say so.
    const keepSocketAlive = super.keepSocketAlive.bind(this) as (socket: Duplex) => boolean;
    return keepSocketAlive(socket);
  }
}

/**
 * An HTTP client for push services. It connects over TLS, and only to public addresses. It does not follow redirects:
 * they would bypass the list of hosts.
 */
export class PushClient {
  readonly #agent = new FewIdleAgent({ keepAlive: true, timeout: IDLE_MILLISECONDS, lookup: lookupPublic });
  readonly #inFlight = new Set<ClientRequest>();

  /**
   * Posts a request.
   *
   * @param url of a push service (`PushHosts`)
   * @returns the answer, whatever its status
   * @throws {Error} the error of the network, or that no complete answer came in time
   */
  post(url: URL, { headers, body }: PushRequest): Promise<PushAnswer> {
    const { hostname, pathname, search } = url;
    const options = { method: 'POST', hostname, path: pathname + search, headers, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const sent = request(options, (answer) => {
        answer.on('error', reject);
        drain(answer, () => resolve(readAnswer(answer)));
      });
      const late = new Error(`no complete answer came within ${REQUEST_MILLISECONDS} ms`);
      const timer = setTimeout(() => sent.destroy(late), REQUEST_MILLISECONDS);
      this.#inFlight.add(sent);
      sent.on('error', reject).on('close', () => {
        clearTimeout(timer);
        this.#inFlight.delete(sent);
        // A request that is destroyed before its answer emits no error.
        reject(new Error('the connection was closed'));
      });
      sent.end(body);
    });
  }

  /** Aborts requests in flight, and closes all connections. */
  destroy(): void {
    for (const sent of this.#inFlight) sent.destroy();
    this.#agent.destroy();
  }
}

function readAnswer({ statusCode = 0, headers }: IncomingMessage): PushAnswer {
  return { status: statusCode, retryAfter: headers['retry-after'] };
}

/**
 * Reads a body to its end. A body that is too long is aborted, since the header is known by then.
 *
 * @param onEnd called synchronously: the connection may close before a promise would settle
 */
function drain(answer: IncomingMessage, onEnd: () => void): void {
  let bytes = 0;
  answer.on('end', onEnd).on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= MAX_ANSWER_BYTES) return;
    onEnd();
    answer.destroy();
  });
}
