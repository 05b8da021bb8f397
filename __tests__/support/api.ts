/** The JSON API over fetch, with what a test looks at of an answer. */

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed body; `undefined` if there is none. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test asserts on it field by field
  readonly body: any;
}

/** A message as clients see it. */
export interface WireMessage {
  readonly id: number;
  readonly sender: string;
  readonly recipient: string;
  readonly type: string;
  readonly content: unknown;
  readonly createdAt: string;
  readonly idempotencyKey?: string;
  readonly expiresAt?: string;
  readonly background?: true;
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  };
}

/** Sends any request. */
export async function request(url: string, init?: RequestInit): Promise<Answer> {
  return answerOf(await fetch(url, init));
}

/** Publishes JSON: an object or a batch. */
export function publish(
  origin: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return request(`${origin}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

/** Publishes one message that is to be stored, and gives it back. */
export async function send(
  origin: string,
  recipient: string,
  content: unknown,
  fields: Record<string, unknown> = {},
): Promise<WireMessage> {
  const answer = await publish(origin, { recipient, content, ...fields });
  if (answer.status !== 201) throw new Error(`not stored: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body as WireMessage;
}

/** Gets a path with its query. */
export function get(origin: string, path: string): Promise<Answer> {
  return request(`${origin}${path}`);
}
