import { type FieldError, pointerToken, unknownName } from '../errors.ts';
import { type Draft, MESSAGE_TYPE, READ_TYPE } from '../message.ts';
import { markerFault } from '../message-rules.ts';
import { oneLine } from '../one-line.ts';
import { type Conflict, MESSAGE_RULES, type MessageRules } from './message-fields.ts';

/** A checked publish: a draft, and whether it is for live streams only. */
export interface Publication {
  readonly draft: Draft;
  readonly ephemeral: boolean;
}

/** The context in which the body of a publish is checked. */
export interface PublishContext {
  /** The sender if the body names none. */
  readonly defaultSender: string;
  /** Returns whether the publisher may read the inbox of an address. */
  readonly mayRead: (address: string) => boolean;
}

/** The maximum number of unknown fields that are reported; an object could have a million. */
const MAX_UNKNOWN = 100;

/** The error of content over the maximum size. It has its own status (413), so it is kept apart from other faults. */
export class ContentTooLarge extends Error {
  constructor(path: string, bytes: number, max: number) {
    super(
      `${path === '' ? '"content"' : `${path}/content`} has ${bytes} bytes as JSON, but may have at most ` +
        `${max}: store it elsewhere, and send a link to it.`,
    );
    this.name = 'ContentTooLarge';
  }
}

/**
 * Checks one object of a publish.
 *
 * @param fields a parsed JSON value, of well-formed Unicode and finite numbers
 * @param path the JSON Pointer of that value in the body: empty for a single message
 * @param errors receives each bad field
 * @returns the publication; `undefined` if `errors` received one
 * @throws {ContentTooLarge} if the JSON of the content takes more than 48 KiB
 */
type ReadPublication = (
  fields: unknown,
  path: string,
  context: PublishContext,
  errors: FieldError[],
) => Publication | undefined;

/** Returns the function that checks publishes by these rules. */
export function publicationReader(rules: MessageRules): ReadPublication {
  const keepsRules = judgeOf(rules);
  const known = Object.keys(rules.fields);
  return (fields, path, context, errors) => {
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      errors.push({ path, message: 'must be a JSON object' });
      return undefined;
    }
    const given = fields as GivenFields;
    const before = errors.length;
    if (!keepsRules(given)) reportFaults(rules, known, given, path, errors);
    if (given['type'] === READ_TYPE && given['content'] !== undefined) {
      const why = markerFault(given['content']);
      if (why !== undefined) errors.push({ path: `${path}/content/messageId`, message: why });
    }
    if (errors.length > before) return undefined;

    const content = JSON.stringify(given['content']);
    const bytes = Buffer.byteLength(oneLine(content));
    if (bytes > rules.maxContentBytes) throw new ContentTooLarge(path, bytes, rules.maxContentBytes);
    return publicationOf(given as unknown as CheckedFields, content, context);
  };
}

/** Returns a fast function that checks whether a message follows the rules. Nearly all do. */
function judgeOf({ fields, conflicts }: MessageRules): (given: GivenFields) => boolean {
  const faults = new Map(Object.entries(fields).map(([name, { rule }]) => [name, rule.fault]));
  const required = Object.keys(fields).filter((name) => fields[name]?.missing !== undefined);
  // Conflicts that begin with the same value are checked only if a message has that value, and few have.
  const firsts: { readonly name: string; readonly value: unknown; readonly all: Conflict[] }[] = [];
  for (const conflict of conflicts) {
    const [[name, value] = ['', undefined]] = Object.entries(conflict.fields);
    const known = firsts.find((first) => first.name === name && first.value === value);
    if (known === undefined) firsts.push({ name, value, all: [conflict] });
    else known.all.push(conflict);
  }
  return (given) => {
    let found = 0;
    for (const name of Object.keys(given)) {
      const fault = faults.get(name);
      if (fault === undefined || fault(given[name]) !== undefined) return false;
      if (required.includes(name)) found++;
    }
    if (found < required.length) return false;
    for (const { name, value, all } of firsts)
      if (hasValue(given, name, value) && all.some((conflict) => applies(conflict, given))) return false;
    return true;
  };
}

/** Reports each fault of a message: unknown fields, then bad fields in the order of the table, then conflicts. */
function reportFaults(
  { fields, conflicts }: MessageRules,
  known: readonly string[],
  given: GivenFields,
  path: string,
  errors: FieldError[],
): void {
  const before = errors.length;
  const fault = (field: string, message: string | undefined): void => {
    if (message !== undefined) errors.push({ path: `${path}/${pointerToken(field)}`, message });
  };
  for (const field of Object.keys(given)) {
    if (errors.length - before >= MAX_UNKNOWN) break;
    if (!known.includes(field))
      fault(field, unknownName(field, 'a field of a message', known, errors.length));
  }
  for (const [name, { rule, missing }] of Object.entries(fields)) {
    const value = given[name];
    fault(name, value === undefined ? missing : rule.fault(value));
  }
  for (const conflict of conflicts) if (applies(conflict, given)) fault(conflict.at, conflict.message);
}

/** Checks one object of a publish by the rules of this service. */
export const readPublication: ReadPublication = publicationReader(MESSAGE_RULES);

/** The fields of a message, as they were given. Parsed JSON has no `undefined`: such a field was not given. */
type GivenFields = Readonly<Record<string, unknown>>;

/** The fields of a message that follows the rules, except its content. */
interface CheckedFields {
  readonly sender?: string;
  readonly recipient: string;
  readonly type?: string;
  readonly idempotencyKey?: string;
  readonly ttl?: number;
  readonly background?: boolean;
  readonly ephemeral?: boolean;
}

function publicationOf(given: CheckedFields, content: string, context: PublishContext): Publication {
  const { recipient, type = MESSAGE_TYPE } = given;
  const draft: Draft = {
    sender: given.sender ?? context.defaultSender,
    recipient,
    type,
    content,
    idempotencyKey: given.idempotencyKey ?? null,
    ttl: given.ttl ?? null,
    background: given.background === true ? 1 : 0,
  };
  if (type !== READ_TYPE) return { draft, ephemeral: given.ephemeral === true };
  return { draft: { ...draft, readsRecipient: context.mayRead(recipient) }, ephemeral: false };
}

/** Returns whether a message has all the values of a conflict. */
function applies({ fields }: Conflict, given: GivenFields): boolean {
  return Object.entries(fields).every(([name, value]) => hasValue(given, name, value));
}

/** Returns whether a field has a value, or for `undefined`, whether the field was given. */
function hasValue(given: GivenFields, name: string, value: unknown): boolean {
  return value === undefined ? given[name] !== undefined : given[name] === value;
}
