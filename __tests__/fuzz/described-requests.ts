/** Requests made from the description of the service, and whether they are as it says. */
import { createECDH } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import fc from 'fast-check';
import { Description, type DescribedParameter, type Document, pointerTo } from '../support/description.js';
import { type Schema, SchemaValues } from './schema-values.ts';

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** The push service of these requests (`PUSH_HOSTS`). */
export const PUSH_HOST = 'push.example.org';

/** A request, and the values that it was made from. */
export interface DescribedRequest {
  readonly path: string;
  readonly method: string;
  /** The values of the parameters in the path. */
  readonly id: unknown;
  /** The texts of each parameter of the query, in order. */
  readonly query: readonly (readonly [name: string, text: string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly type: string | undefined;
  /** The value of the body: of JSON, or the fields of a form. */
  readonly body: unknown;
}

/** Operations that are asked more often than others, since they have more rules. */
const WEIGHTS: Readonly<Record<string, number>> = {
  publish: 12,
  listMessages: 6,
  listConversations: 3,
  openStream: 2,
};

/** Fields with values of their own: no schema can say that an address is in NFC, or that a point is on the curve. */
function samples(): Readonly<Record<string, fc.Arbitrary<unknown>>> {
  const curve = createECDH('prime256v1');
  curve.generateKeys();
  const address = fc.constantFrom('alice', 'bob', 'room/1', 'Zoë', '名前', 'a b', 'x'.repeat(128));
  return {
    '#/components/schemas/Address': address,
    uri: fc.constantFrom(`https://${PUSH_HOST}/one`, `https://${PUSH_HOST}/two`),
    '^B[A-P][A-Za-z0-9_-]{85}$': fc.constant(curve.getPublicKey('base64url')),
    '^[a-z][a-z0-9._-]{0,63}$': fc.constantFrom('message', 'read', 'typing', 'a'),
  };
}

/** Returns requests that are as a document describes them, and such as are nearly so. */
export function describedRequests(document: Document): fc.Arbitrary<DescribedRequest> {
  const values = new SchemaValues(document, samples());
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { operationId, parameters = [], requestBody }]) => {
      const bodies = Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) =>
        fc.record({ type: fc.constant<string | undefined>(type), body: bodyOf(values, type, schema) }),
      );
      const body =
        bodies.length === 0 ? fc.constant({ type: undefined, body: undefined }) : fc.oneof(...bodies);
      const made = fc
        .record({
          id: values.near({ $ref: '#/components/schemas/MessageId' }),
          query: queryOf(values, parameters),
          headers: headersOf(parameters),
          body,
        })
        .map(({ body: { type, body: value }, ...rest }): DescribedRequest => ({
          path,
          method,
          ...rest,
          type,
          body: value,
        }));
      return { arbitrary: made, weight: WEIGHTS[operationId] ?? 1 };
    }),
  );
  return fc.oneof(...operations);
}

function bodyOf(values: SchemaValues, type: string, schema: Schema): fc.Arbitrary<unknown> {
  const near = values.near(schema);
  if (type === JSON_TYPE) return near;
  return near.map((value) => (typeof value === 'object' && value !== null ? value : {}));
}

function queryOf(
  values: SchemaValues,
  parameters: readonly DescribedParameter[],
): fc.Arbitrary<[string, string][]> {
  const known = parameters.filter((parameter) => parameter.in === 'query');
  const given = known.map(({ name, required, schema }) =>
    fc
      .tuple(
        fc.nat(9),
        values.near(schema).map((value) => (name === 'wait' ? shortWait(value) : value)),
      )
      .map(([chance, value]): [string, string][] =>
        chance < (required || name === 'recipient' ? 9 : 3)
          ? [value].flat().map((one) => [name, textOf(one)])
          : [],
      ),
  );
  const odd = fc.constantFrom<[string, string][]>(
    [],
    [],
    [],
    [],
    [],
    [],
    [],
    [],
    [['unknown', '1']],
    [['limit', '007']],
  );
  return fc.tuple(...given, odd).map((all) => all.flat());
}

function headersOf(parameters: readonly DescribedParameter[]): fc.Arbitrary<Record<string, string>> {
  const names = parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name);
  if (names.length === 0) return fc.constant({});
  const value = fc.constantFrom('k1', '0', '42-k3f9ab', 'k'.repeat(128), 'k'.repeat(129));
  return fc
    .tuple(fc.nat(4), fc.constantFrom(...names), value)
    .map(([chance, name, text]) => (chance === 0 ? { [name]: text } : {}));
}

/** Waits no longer than a second for messages that do not come. */
const shortWait = (value: unknown): unknown => (Number(value) > 1 && Number(value) <= 60 ? 1 : value);

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Judges requests by a document. */
export class RequestJudge {
  readonly #document: Document;
  readonly #description: Description;

  constructor(document: Document) {
    this.#document = document;
    this.#description = new Description(document, { closed: false });
  }

  /** Returns what is not as described in a request. */
  faultsOf({ path, method, id, query, headers, type, body }: DescribedRequest): string[] {
    const operation = this.#document.paths[path]?.[method];
    if (operation === undefined) throw new Error(`no operation: ${method} ${path}`);
    const { parameters = [] } = operation;
    const at = (...names: string[]): string => pointerTo('paths', path, method, ...names);
    const unknown = query.filter(
      ([name]) => !parameters.some((one) => one.in === 'query' && one.name === name),
    );
    const ofParameters = parameters.flatMap((parameter, index) => {
      const { name, required, schema } = parameter;
      const texts = textsOf(parameter, { id, query, headers });
      if (texts.length === 0) return required ? [`${name} is missing`] : [];
      const value = isList(schema)
        ? texts
        : texts.length === 1
          ? typed(schema, texts[0] ?? '', this.#document)
          : texts;
      return this.#description.faultsOf(at('parameters', String(index), 'schema'), value, name);
    });
    if (type === undefined) return [...unknown.map(([name]) => `${name} is unknown`), ...ofParameters];
    const schema = operation.requestBody?.content[type]?.schema ?? {};
    const value =
      type === FORM_TYPE ? typedForm(schema, body as Record<string, unknown>, this.#document) : body;
    const ofBody = this.#description.faultsOf(at('requestBody', 'content', type, 'schema'), value, 'body');
    return [...unknown.map(([name]) => `${name} is unknown`), ...ofParameters, ...ofBody];
  }
}

function textsOf(
  parameter: DescribedParameter,
  { id, query, headers }: Pick<DescribedRequest, 'id' | 'query' | 'headers'>,
): string[] {
  if (parameter.in === 'path') return [textOf(id)];
  if (parameter.in === 'header') return [headers[parameter.name]].filter((one) => one !== undefined);
  return query.filter(([name]) => name === parameter.name).map(([, text]) => text);
}

function isList(schema: Schema): boolean {
  const branches = schema['anyOf'] as readonly Schema[] | undefined;
  return schema['type'] === 'array' || branches?.some(isList) === true;
}

/** Returns the value that a text stands for, by its schema. */
function typed(schema: Schema, text: string, document: Document): unknown {
  const name = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined;
  const found = name === undefined ? schema : (document.components.schemas[name] ?? {});
  const types = [found, ...((found['anyOf'] ?? []) as readonly Schema[])].map((one) => one['type']);
  if (types.includes('integer') && /^\d{1,16}$/.test(text)) return Number(text);
  if (types.includes('boolean') && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}

function typedForm(schema: Schema, fields: Record<string, unknown>, document: Document): unknown {
  const name = String(schema['$ref']).split('/').at(-1) ?? '';
  const form = document.components.schemas[name] ?? {};
  const branches = (form['oneOf'] ?? [form]) as readonly { properties: Record<string, Schema> }[];
  const properties = Object.assign({}, ...branches.map((branch) => branch.properties)) as Record<
    string,
    Schema
  >;
  return Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [
      field,
      typed(properties[field] ?? {}, textOf(value), document),
    ]),
  );
}

/** An answer, as far as it is looked at. */
export interface Answered {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Sends a request. A stream is closed when its head has come. */
export function sendDescribed(
  port: number,
  given: DescribedRequest,
  token: string | undefined,
): Promise<Answered> {
  const { path, method, id, query, headers, type, body } = given;
  const search = query
    .map(([name, text]) => `${encodeURIComponent(name)}=${encodeURIComponent(text)}`)
    .join('&');
  const target = path.replace('{id}', encodeURIComponent(textOf(id))) + (search === '' ? '' : `?${search}`);
  const fields = Object.entries<unknown>({ ...(body as object | undefined) }).map(
    ([name, value]): [string, string] => [name, textOf(value)],
  );
  const text =
    type === FORM_TYPE
      ? new URLSearchParams(fields).toString()
      : type === undefined
        ? ''
        : JSON.stringify(body);
  const upgrade = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      port,
      host: '127.0.0.1',
      method: method.toUpperCase(),
      path: target,
      agent: false,
      headers: {
        ...headers,
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(type === undefined ? {} : { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }),
        ...(path === '/ws' ? upgrade : {}),
      },
    });
    sent.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, type: '', body: '' });
    });
    sent.on('response', (response) => {
      const status = response.statusCode ?? 0;
      const answerType = (response.headers['content-type'] ?? '').split(';', 1)[0] ?? '';
      if (answerType === 'text/event-stream') {
        resolve({ status, type: answerType, body: '' });
        sent.destroy();
        return;
      }
      let received = '';
      response.setEncoding('utf8').on('data', (piece: string) => (received += piece));
      response.on('end', () => resolve({ status, type: answerType, body: received }));
    });
    sent.on('error', reject);
    sent.end(text === '' ? undefined : text);
  });
}
