import type { IncomingMessage } from 'node:http';
import type { Identity } from '../auth/identity.ts';
import { keyFault, pointerToken } from '../draft.ts';
import { badFields, type FieldError, Refusal } from '../errors.ts';
import { parseJson } from './body.ts';
import { type ProblemParts, problemOf } from './problem.ts';
import { publishedJson, type Publisher } from './publisher.ts';

const FIELDS = ['publish', 'ref'];

/** A request of a client on its socket: what to publish, and how the client calls it. */
interface PublishRequest {
  readonly publish: unknown;
  readonly ref: string | undefined;
}

/**
 * Publishes what a client sends on its socket: `{"publish": draft, "ref": "x"}`, where `draft` is what `POST /messages`
 * takes as JSON. It is answered by `published`, or by `refused` with the problem that POST would answer.
 */
export class SocketPublisher {
  readonly #publisher: Publisher;
  readonly #now: () => number;
  readonly #problems: ProblemParts;
  readonly #identity: Identity;
  readonly #request: IncomingMessage;
  readonly #expire: () => void;

  /**
   * @param request the handshake, for the log
   * @param expire called where the token is over: nothing is answered any more
   */
  constructor(
    { publisher, now }: { publisher: Publisher; now: () => number },
    problems: ProblemParts,
    identity: Identity,
    request: IncomingMessage,
    expire: () => void,
  ) {
    this.#publisher = publisher;
    this.#now = now;
    this.#problems = problems;
    this.#identity = identity;
    this.#request = request;
    this.#expire = expire;
  }

  /** Publishes. @returns the answer, as JSON; `undefined` where the token is over */
  async answer(text: string): Promise<string | undefined> {
    if ((this.#identity.expiresAt ?? Infinity) <= this.#now()) {
      this.#expire();
      return undefined;
    }
    let ref: string | undefined;
    try {
      // Read before the rate is looked at, so that a refusal for that says which it is.
      const request = readRequest(text);
      ({ ref } = request);
      this.#publisher.checkRate(this.#identity);
      const published = await this.#publisher.publish(request.publish, this.#identity);
      return answerJson('published', ref, publishedJson(published));
    } catch (error) {
      const { json, headers } = problemOf(this.#request, error, this.#problems);
      const seconds = headers['Retry-After'];
      return answerJson('refused', ref, json, seconds === undefined ? undefined : Number(seconds) * 1000);
    }
  }
}

/** @throws {Refusal} 400 where it is no JSON of that form; the draft is not looked at */
function readRequest(text: string): PublishRequest {
  const value = parseJson(text, 'message');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal('malformed', 'A message is a JSON object: {"publish": …, "ref": "…"}.');
  }
  const fields = new Map<string, unknown>(Object.entries(value));
  const errors: FieldError[] = [...fields.keys()]
    .filter((name) => !FIELDS.includes(name))
    .map((name) => ({
      path: `/${pointerToken(name)}`,
      message: `is not a field here; they are ${FIELDS.join(', ')}`,
    }));
  if (!fields.has('publish')) {
    errors.push({ path: '/publish', message: 'is required: what POST /messages takes' });
  }
  const ref = fields.get('ref');
  const why = fields.has('ref') ? keyFault(ref) : undefined;
  if (why !== undefined) errors.push({ path: '/ref', message: why });
  if (errors.length > 0) throw badFields(errors);
  return { publish: fields.get('publish'), ref: ref as string | undefined };
}

/** An answer's text. @param data JSON @param retry milliseconds */
function answerJson(
  event: 'published' | 'refused',
  ref: string | undefined,
  data: string,
  retry?: number,
): string {
  const rest = JSON.stringify({ retry }).slice(1);
  const named = ref === undefined ? '' : `"ref":${JSON.stringify(ref)},`;
  return `{"event":"${event}",${named}"data":${data}${rest === '}' ? '' : ','}${rest}`;
}
