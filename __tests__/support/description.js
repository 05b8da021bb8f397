/**
 * The description of the service (`/openapi.json`) as a judge: whether answers, events and requests are as it says. Plain
 * JavaScript, since wire-tap.js looks at the service from inside.
 */
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';

/** @typedef {Record<string, unknown>} Schema */
/** @typedef {{ description: string, content?: Record<string, { schema: Schema }>, $ref?: string }} DescribedResponse */
/** @typedef {{ name: string, in: 'path' | 'query' | 'header', required: boolean, schema: Schema }} DescribedParameter */
/**
 * @typedef {object} DescribedOperation
 * @property {string} operationId
 * @property {readonly unknown[]} security
 * @property {readonly DescribedParameter[]} [parameters]
 * @property {{ content: Record<string, { schema: Schema }> }} [requestBody]
 * @property {Record<string, DescribedResponse>} responses
 */
/**
 * @typedef {object} Document
 * @property {Record<string, Record<string, DescribedOperation>>} paths
 * @property {{ responses: Record<string, DescribedResponse>, schemas: Record<string, Schema> }} components
 */
/** @typedef {{ (value: unknown): boolean, errors?: readonly { instancePath: string, message?: string }[] | null }} Validate */

/**
 * An answer of the service.
 *
 * @typedef {object} GivenAnswer
 * @property {string | undefined} method that of the request; `undefined` if that could not be read
 * @property {string} path without its query
 * @property {number} status
 * @property {string} type its media type, without parameters
 * @property {boolean} isCoded whether its body is compressed, and not looked at
 * @property {string} body
 */

const BASE = 'tidings';
const PROBLEM = 'application/problem+json';
/** @type {NonNullable<import('ajv').Options['formats']>} */
const FORMATS = { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, uri: true };

/** @returns {Promise<Document>} the description of a node of a cluster, which has every path */
export async function builtDocument() {
  /** @type {unknown} */
  const built = await import(join(import.meta.dirname, '../../dist/openapi/document.js'));
  const { openApiDocument } = /** @type {{ openApiDocument: (service: object) => Document }} */ (built);
  return openApiDocument({ basePath: '', isCluster: true });
}

export class Description {
  #document;
  #isClosed;
  /** @type {{ compile(schema: Schema): Validate } | undefined} */
  #ajv;
  /** @type {Map<string, Validate>} */
  #validators = new Map();

  /**
   * @param {Document} document
   * @param {{ closed: boolean }} options `closed`: whether an object may have no field that is not described. Clients must
   *   bear those, but this version of the service has none
   */
  constructor(document, { closed }) {
    this.#document = document;
    this.#isClosed = closed;
  }

  /**
   * Returns the operation of a request; `undefined` if there is none.
   *
   * @param {string | undefined} method @param {string} path
   */
  operation(method, path) {
    const item = this.#pathItem(path);
    const name = method === 'HEAD' ? 'get' : (method?.toLowerCase() ?? '');
    const found = item !== undefined && Object.hasOwn(item[1], name) ? item[1][name] : undefined;
    return found === undefined
      ? undefined
      : { operation: found, pointer: pointerTo('paths', item?.[0] ?? '', name) };
  }

  /** Returns what is not as described in an answer. @param {GivenAnswer} answer @returns {string[]} */
  faultsOfAnswer(answer) {
    const { method, path, status, type, body } = answer;
    const shown = `${method ?? '?'} ${path.slice(0, 100)} ${status}`;
    // A path that opens a WebSocket has no HEAD.
    const found = method === 'HEAD' && status === 405 ? undefined : this.operation(method, path);
    const response = found?.operation.responses[status];
    const isRefusal = status >= 400;
    // Another method, another path (a file of the page, if it is served), or a request that could not be read.
    if (found === undefined) return isRefusal ? this.#faultsOfProblem(answer, shown) : [];
    if (response === undefined) return [`a status that is not described: ${shown}`];
    if (method === 'HEAD') return [];
    if (response.$ref !== undefined) return this.#faultsOfProblem(answer, shown);
    if (answer.isCoded) return [];
    if (response.content === undefined) return body === '' ? [] : [`a body that is not described: ${shown}`];
    if (!Object.hasOwn(response.content, type)) return [`another type than described: ${shown} ${type}`];
    const pointer = `${found.pointer}${pointerTo('responses', String(status), 'content', type, 'schema')}`;
    return this.#faultsOfText(pointer, type, body, shown);
  }

  /**
   * Returns what is not as described in an event of a stream.
   *
   * @param {{ event: string, id: string | undefined, retry: number | undefined, data: unknown, json: string }} said
   */
  faultsOfStreamEvent({ event, id, retry, data, json }) {
    const block = {
      ...(event === 'message' ? {} : { event }),
      data: json,
      ...(id === undefined ? {} : { id }),
    };
    const whole = { ...block, ...(retry === undefined ? {} : { retry }) };
    const forms = /** @type {{ properties: Record<string, Schema>, required: string[] }[]} */ (
      this.#document.components.schemas['StreamEvent']?.['oneOf']
    );
    const form = forms.find(
      ({ properties, required }) =>
        properties['event']?.['const'] === whole.event &&
        (event !== 'message' || required.includes('id') === (id !== undefined)),
    );
    const { $ref: schema = '' } = /** @type {{ $ref?: string }} */ (
      form?.properties['data']?.['contentSchema'] ?? {}
    );
    return [
      ...this.faultsOf(pointerTo('components', 'schemas', 'StreamEvent'), whole, `event ${event}`),
      ...(schema === '' ? [] : this.faultsOf(schema.slice(1), data, `event ${event}`)),
    ];
  }

  /** Returns what is not as described in a message of the service on a WebSocket. @param {unknown} message */
  faultsOfSocketEvent(message) {
    return this.faultsOf(pointerTo('components', 'schemas', 'SocketEvent'), message, 'on a socket');
  }

  /**
   * Returns where a value breaks a schema of the document.
   *
   * @param {string} pointer to the schema @param {unknown} value @param {string} shown names the value
   * @returns {string[]}
   */
  faultsOf(pointer, value, shown) {
    const validate = this.#validator(pointer);
    if (validate(value)) return [];
    const [first] = validate.errors ?? [];
    const where = `${first?.instancePath ?? ''} ${first?.message ?? ''}`.trim();
    return [`not as described: ${shown}: ${where}: ${JSON.stringify(value).slice(0, 500)}`];
  }

  /** @param {GivenAnswer} answer @param {string} shown */
  #faultsOfProblem({ method, status, type, body }, shown) {
    // An answer to HEAD, or to a request whose method is not known.
    if (body === '' && (method === 'HEAD' || method === undefined)) return [];
    if (type !== PROBLEM) return [`a refusal as ${type}: ${shown}`];
    if (status !== 405 && !Object.hasOwn(this.#document.components.responses, status))
      return [`a refusal that is not described: ${shown}`];
    return this.#faultsOfText(pointerTo('components', 'schemas', 'Problem'), type, body, shown);
  }

  /** @param {string} pointer @param {string} type @param {string} body @param {string} shown */
  #faultsOfText(pointer, type, body, shown) {
    if (!type.endsWith('json')) return this.faultsOf(pointer, body, shown);
    try {
      return this.faultsOf(pointer, JSON.parse(body), shown);
    } catch (error) {
      if (error instanceof SyntaxError) return [`no JSON: ${shown}: ${body.slice(0, 500)}`];
      throw error;
    }
  }

  /** @param {string} path @returns {readonly [string, Record<string, DescribedOperation>] | undefined} */
  #pathItem(path) {
    const { paths } = this.#document;
    const exact = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (exact !== undefined) return [path, exact];
    return Object.entries(paths).find(([template]) => {
      const parts = template.split(/\{\w+\}/);
      const [before = '', after = ''] = parts;
      if (parts.length !== 2 || !path.startsWith(before) || !path.endsWith(after)) return false;
      return /^[^/]+$/.test(path.slice(before.length, path.length - after.length));
    });
  }

  /** @param {string} pointer @returns {Validate} */
  #validator(pointer) {
    const known = this.#validators.get(pointer);
    if (known !== undefined) return known;
    const made = this.#compiler().compile({ $ref: `${BASE}#${encodeURI(pointer)}` });
    this.#validators.set(pointer, made);
    return made;
  }

  /** Made at the first use: most services of tests answer a few requests. */
  #compiler() {
    if (this.#ajv !== undefined) return this.#ajv;
    // The linter checks the schemas themselves: to compile the schema of schemas takes longer than all else.
    const ajv = new Ajv2020({
      strict: false,
      formats: FORMATS,
      inlineRefs: false,
      meta: false,
      validateSchema: false,
    });
    ajv.addSchema(/** @type {object} */ (this.#isClosed ? closed(this.#document) : this.#document), BASE);
    this.#ajv = /** @type {{ compile(schema: Schema): Validate }} */ (/** @type {unknown} */ (ajv));
    return this.#ajv;
  }
}

/** Returns a JSON Pointer (RFC 6901). @param {readonly string[]} names */
export function pointerTo(...names) {
  return names.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Returns a copy in which no object may have other fields than those described. @param {unknown} value @returns {unknown} */
function closed(value) {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, closed(part)]));
  const isObject = copy['type'] === 'object' && 'properties' in copy && !('additionalProperties' in copy);
  return isObject ? { ...copy, additionalProperties: false } : copy;
}
