import { describe, expect, test } from '@jest/globals';
import { packDrafts, unpackDrafts } from '../../src/log/packed-drafts.ts';
import type { Draft } from '../../src/message.ts';

const draft = (name: string, rest: Partial<Draft> = {}): Draft => ({
  sender: `${name}-sender`,
  recipient: `${name}-recipient`,
  type: 'message',
  content: `"${name}"`,
  idempotencyKey: null,
  ttl: null,
  background: 0,
  ...rest,
});

describe('drafts on their way to the writer thread', () => {
  test.each<[string, Draft[][]]>([
    ['no batch', []],
    ['one', [[draft('one')]]],
    [
      'batches of several sizes',
      [[draft('a'), draft('b')], [draft('c')], [draft('d'), draft('e'), draft('f')]],
    ],
    ['every field', [[draft('all', { type: 'read', idempotencyKey: 'key', ttl: 3, background: 1 })]]],
    [
      'a read marker of a room among others',
      [[draft('a', { type: 'read' }), draft('b', { type: 'read', readsRecipient: true }), draft('c')]],
    ],
    ['an empty key beside none', [[draft('none'), draft('empty', { idempotencyKey: '' })]]],
  ])('drafts reach the writer thread as they were: %s', (_what, batches) => {
    const packed = structuredClone(packDrafts(batches));
    expect(unpackDrafts(packed)).toStrictEqual(batches);
  });
});
