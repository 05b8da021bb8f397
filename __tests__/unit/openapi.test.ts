import { describe, expect, test } from '@jest/globals';
import type { FieldError } from '../../src/errors.ts';
import { integer, type Parameters } from '../../src/http/parameters.ts';
import { PATHS } from '../../src/http/paths.ts';
import { Query } from '../../src/http/query.ts';
import { openApiDocument } from '../../src/openapi/document.ts';
import { publicationReader } from '../../src/publish/draft.ts';
import { MESSAGE_RULES, type MessageRules } from '../../src/publish/message-fields.ts';
import { BOOLEAN, textUpTo, wholeNumber } from '../../src/rule.ts';
import { Description, type Document, pointerTo } from '../support/description.js';

const SERVICE = { basePath: '', isCluster: true };

/** Whether a message is taken, and whether the description says so. */
function verdicts(rules: MessageRules, message: object): { taken: boolean; described: boolean } {
  const errors: FieldError[] = [];
  const context = { defaultSender: 'alice', mayRead: () => true };
  publicationReader(rules)(message, '', context, errors);
  const description = new Description(openApiDocument(SERVICE, rules) as unknown as Document, {
    closed: false,
  });
  const faults = description.faultsOf(pointerTo('components', 'schemas', 'Draft'), message, 'a draft');
  return { taken: errors.length === 0, described: faults.length === 0 };
}

const YES = { taken: true, described: true };
const NO = { taken: false, described: false };

describe('a change of the rules of a message', () => {
  const { fields, conflicts } = MESSAGE_RULES;
  const message = { recipient: 'bob', content: 'hi' };
  const { ttl, idempotencyKey, recipient, content } = fields;
  if (ttl === undefined || idempotencyKey === undefined || recipient === undefined || content === undefined)
    throw new Error('a field is missing');

  test.each<[string, Partial<MessageRules>, object, typeof YES, typeof YES]>([
    [
      'a smaller range',
      { fields: { ...fields, ttl: { ...ttl, rule: wholeNumber({ min: 1, max: 60 }, 'must be short') } } },
      { ...message, ttl: 61 },
      YES,
      NO,
    ],
    [
      'a longer text',
      { fields: { ...fields, idempotencyKey: { ...idempotencyKey, rule: textUpTo(200) } } },
      { ...message, idempotencyKey: 'k'.repeat(200) },
      NO,
      YES,
    ],
    [
      'a new field',
      { fields: { ...fields, urgent: { rule: BOOLEAN, description: 'Whether it is.' } } },
      { ...message, urgent: true },
      NO,
      YES,
    ],
    [
      'the rule of the new field',
      { fields: { ...fields, urgent: { rule: BOOLEAN, description: 'Whether it is.' } } },
      { ...message, urgent: 'yes' },
      NO,
      NO,
    ],
    [
      'a field that may be left out',
      { fields: { ...fields, recipient: { rule: recipient.rule, description: recipient.description } } },
      { content: 'hi' },
      NO,
      YES,
    ],
    [
      'a field that is taken away',
      { fields: { recipient, content }, conflicts: [] },
      { ...message, ttl: 1 },
      YES,
      NO,
    ],
    [
      'fields that exclude each other',
      {
        conflicts: [
          ...conflicts,
          { fields: { background: true, ttl: undefined }, at: 'ttl', message: 'cannot be given with it' },
        ],
      },
      { ...message, background: true, ttl: 1 },
      YES,
      NO,
    ],
  ])('a changed rule applies to requests and description: %s', (_change, change, given, before, after) => {
    expect(verdicts(MESSAGE_RULES, given)).toEqual(before);
    expect(verdicts({ ...MESSAGE_RULES, ...change }, given)).toEqual(after);
  });

  test('changed limits of content and batches apply to requests and description', () => {
    const changed = openApiDocument(SERVICE, { ...MESSAGE_RULES, maxContentBytes: 10, maxBatch: 7 });
    expect(changed['x-limits']).toMatchObject({ content: { bytes: 10 } });
    expect(changed.components.schemas['Batch']).toMatchObject({ maxItems: 7 });
    const read = publicationReader({ ...MESSAGE_RULES, maxContentBytes: 10 });
    const context = { defaultSender: 'alice', mayRead: () => true };
    expect(() => read({ recipient: 'bob', content: '123456789' }, '', context, [])).toThrow(
      'may have at most 10',
    );
  });
});

test('a changed query parameter applies to requests and description', () => {
  const isTaken = (parameters: Parameters & { limit: ReturnType<typeof integer> }): boolean => {
    const query = new Query('/messages?limit=11', parameters);
    return query.integer('limit', 0, parameters.limit) === 11;
  };
  const wide = { limit: integer({ min: 1, max: 20 }, '') };
  const narrow = { limit: integer({ min: 1, max: 10 }, '') };
  expect([isTaken(wide), wide.limit.schema]).toEqual([true, { type: 'integer', minimum: 1, maximum: 20 }]);
  expect([isTaken(narrow), narrow.limit.schema]).toEqual([
    false,
    { type: 'integer', minimum: 1, maximum: 10 },
  ]);
});

test('every path and method of the table is described, and each operation has a unique name', () => {
  const { paths } = openApiDocument(SERVICE);
  expect(Object.fromEntries(Object.entries(paths).map(([path, item]) => [path, Object.keys(item)]))).toEqual(
    PATHS,
  );
  const ids = Object.values(paths).flatMap((item) =>
    Object.values(item).map(({ operationId }: { operationId: string }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
});

test('the description of a single node lacks what only a node of a cluster has', () => {
  const { paths, components } = openApiDocument({ basePath: '', isCluster: false });
  expect(Object.keys(paths)).toEqual(Object.keys(PATHS).filter((path) => path !== '/cluster'));
  expect(components.schemas['Cluster']).toBeUndefined();
});
