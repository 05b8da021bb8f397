import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { Duplex } from 'node:stream';
import { lookupPublic } from './public-address.ts';
import type { PushRequest } from './push-request.ts';

/** What a push service answered. */
export interface PushAnswer {
  readonly status: number;
  /** Its header `Retry-After`. */
  readonly retryAfter: string | undefined;
}

/** From the look-up of the name to the end of the answer. */
const REQUEST_MILLISECONDS = 10_000;

/** An answer has some hundred bytes, and its body is of no use: it is read to keep the connection. */
const MOST_ANSWER_BYTES = 16_384;

/** A connection that is not used is closed after this. */
const IDLE_MILLISECONDS = 30_000;

/** Connections that are kept for the next request, to all push services together: each is an open file. */
const MOST_IDLE = 100;

/** Keeps a few connections: `maxFreeSockets` is for each host, and below a wildcard of PUSH_HOSTS there are many. */
class FewIdleAgent extends Agent {
  override keepSocketAlive(socket: Duplex): boolean {
    let idle = 0;
    for (const sockets of Object.values(this.freeSockets)) idle += sockets?.length ?? 0;
    if (idle >= MOST_IDLE) return false;
    // It returns whether to keep the connection, which its types leave out.
    const keepSocketAlive = super.keepSocketAlive.bind(this) as (socket: Duplex) => boolean;
    return keepSocketAlive(socket);
  }
}

/**
 * Sends requests to push services, over TLS, and only to public addresses. Redirects are not followed: they would lead
 * past the list of hosts.
 */
export class PushClient {
  readonly #agent = new FewIdleAgent({ keepAlive: true, timeout: IDLE_MILLISECONDS, lookup: lookupPublic });
  readonly #underWay = new Set<ClientRequest>();

  /**
   * Posts a request.
   *
   * @param url of a push service (`PushHosts`)
   * @returns the answer, whatever its status
   * @throws what the network says, or that no whole answer came in time
   */
  post(url: URL, { headers, body }: PushRequest): Promise<PushAnswer> {
    const { hostname, pathname, search } = url;
    const options = { method: 'POST', hostname, path: pathname + search, headers, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const sent = request(options, (answer) => {
        answer.on('error', reject);
        drain(answer, () => resolve(readAnswer(answer)));
      });
      const late = new Error(`no whole answer came in ${REQUEST_MILLISECONDS} ms`);
      const timer = setTimeout(() => sent.destroy(late), REQUEST_MILLISECONDS);
      this.#underWay.add(sent);
      sent.on('error', reject).on('close', () => {
        clearTimeout(timer);
        this.#underWay.delete(sent);
        // Cut before an answer came, which is no error of its own.
        reject(new Error('the connection was closed'));
      });
      sent.end(body);
    });
  }

  /** Cuts what is under way, and closes all connections. */
  destroy(): void {
    for (const sent of this.#underWay) sent.destroy();
    this.#agent.destroy();
  }
}

function readAnswer({ statusCode = 0, headers }: IncomingMessage): PushAnswer {
  return { status: statusCode, retryAfter: headers['retry-after'] };
}

/**
 * Reads a body to its end. One that is too long is cut: what its header says is known by then.
 *
 * @param onEnd called at once: the connection may be closed before a promise is looked at
 */
function drain(answer: IncomingMessage, onEnd: () => void): void {
  let bytes = 0;
  answer.on('end', onEnd).on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= MOST_ANSWER_BYTES) return;
    onEnd();
    answer.destroy();
  });
}
