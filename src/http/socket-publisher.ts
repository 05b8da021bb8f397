import type { IncomingMessage } from 'node:http';
import { hasEnded, type Identity } from '../auth/identity.ts';
import { KEY } from '../message-rules.ts';
import { badFields, type FieldError, pointerToken, Refusal, unknownName } from '../errors.ts';
import { type ProblemParts, problemOf, publishProblem } from './problem.ts';
import { publishedJson, type Publisher } from '../publish/publisher.ts';
import type { PublishRate } from '../publish/publish-rate.ts';
import { type JsonForm, parseJson, textIn } from './strict-json.ts';

const FIELDS = ['publish', 'ref'];

const MESSAGE: JsonForm = { name: 'message', draftAt: ['publish'] };

/** The JSON of 128 characters, each of which may be escaped as two units of six. */
const MAX_REF_BYTES = 128 * 12 + 2;

/** A client's request on its socket: a draft to publish, and the client's name for the request. */
interface PublishRequest {
  readonly publish: unknown;
  readonly ref: string | undefined;
}

/**
 * The publisher for a client on its socket. The client sends `{"publish": draft, "ref": "x"}` with a draft as for
 * `POST /messages`. The answer is `published`, or `refused` with the problem that POST would answer.
 */
export class SocketPublisher {
  readonly #publisher: Publisher;
  readonly #rate: PublishRate;
  readonly #now: () => number;
  readonly #problems: ProblemParts;
  readonly #identity: Identity;
  readonly #request: IncomingMessage;
  readonly #expire: () => void;

  /**
   * @param request the handshake, for the log
   * @param expire called if the token has ended: nothing is answered from then on
   */
  constructor(
    { publisher, rate, now }: { publisher: Publisher; rate: PublishRate; now: () => number },
    problems: ProblemParts,
    identity: Identity,
    request: IncomingMessage,
    expire: () => void,
  ) {
    this.#publisher = publisher;
    this.#rate = rate;
    this.#now = now;
    this.#problems = problems;
    this.#identity = identity;
    this.#request = request;
    this.#expire = expire;
  }

  /** Publishes a message of the client. @returns the answer, as JSON; `undefined` if the token has ended */
  async answer(message: Buffer): Promise<string | undefined> {
    if (hasEnded(this.#identity, this.#now())) {
      this.#expire();
      return undefined;
    }
    let ref: string | undefined;
    try {
      this.#rate.admit(this.#identity);
      this.#rate.takeBytes(this.#identity, message.length);
      const request = readRequest(message);
      ({ ref } = request);
      const published = await this.#publisher.publish(request.publish, this.#identity);
      return answerJson('published', ref, publishedJson(published));
    } catch (error) {
      // The rate is checked before the message is parsed, but its refusal must name the publish, too.
      if (error instanceof Refusal && error.code === 'too-fast') ref = refOf(message);
      const { json, headers } = problemOf(this.#request, publishProblem(error), this.#problems);
      const seconds = headers['Retry-After'];
      return answerJson('refused', ref, json, seconds === undefined ? undefined : Number(seconds) * 1000);
    }
  }
}

/** Finds a client's name for a publish without parsing the rest; `undefined` if there is none, or it is not allowed. */
function refOf(message: Buffer): string | undefined {
  const ref = textIn(message, 'ref', MAX_REF_BYTES);
  return KEY.fault(ref) === undefined ? ref : undefined;
}

/** Reads a request, but not the draft in it. @throws {Refusal} as `parseJson`, or 400 if it has another form */
function readRequest(message: Buffer): PublishRequest {
  const value = parseJson(message, MESSAGE);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal('malformed', 'A message must be a JSON object: {"publish": …, "ref": "…"}.');
  }
  const fields = new Map<string, unknown>(Object.entries(value));
  const errors: FieldError[] = [...fields.keys()]
    .filter((name) => !FIELDS.includes(name))
    .map((name, index) => ({
      path: `/${pointerToken(name)}`,
      message: unknownName(name, 'a field of a request on a socket', FIELDS, index),
    }));
  if (!fields.has('publish')) {
    errors.push({ path: '/publish', message: 'is required: a message or a batch, as for POST /messages' });
  }
  const ref = fields.get('ref');
  const why = fields.has('ref') ? KEY.fault(ref) : undefined;
  if (why !== undefined) errors.push({ path: '/ref', message: why });
  if (errors.length > 0) throw badFields(errors);
  return { publish: fields.get('publish'), ref: ref as string | undefined };
}

/** Returns an answer's text. @param data JSON @param retry milliseconds */
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
