/** A log's database without the service around it: for tests of what is done in the writer's thread. */
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { openForWriting } from '../../src/log/database.ts';
import type { Draft } from '../../src/message.ts';
import { newFolder } from './server.ts';

/** A new database with its schema. */
export function newDatabase(): Database {
  return openForWriting(join(newFolder(), 'tidings.sqlite'));
}

/** A draft of which a test names what matters to it. */
export function draft(fields: Partial<Draft> = {}): Draft {
  return {
    sender: 'alice',
    recipient: 'bob',
    type: 'message',
    content: '"hi"',
    createdAt: 1_000_000,
    idempotencyKey: null,
    expiresAt: null,
    background: 0,
    ...fields,
  };
}
