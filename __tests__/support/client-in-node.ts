/** `client.js` in a program: connections of the test's own process. */
import { EventSource } from 'eventsource';
import { connect, type Connection, type Options, type Status } from '../../public/client/connect.js';
import type { WireMessage } from './api.ts';
import { undoAtEnd } from './server.ts';
import { until } from './until.ts';

Object.assign(globalThis, { EventSource });

/** The transports of the client. */
export const TRANSPORTS = ['event-source', 'fetch', 'polling'] as const;

/** A connection, and everything that it was told. */
export class NodeClient {
  readonly connection: Connection;
  readonly messages: WireMessage[] = [];
  readonly statuses: Status[] = [];
  readonly gaps: string[] = [];

  constructor(options: Options) {
    const { onMessage, onStatus } = options;
    this.connection = connect({
      ...options,
      ...(onMessage === undefined ? { onMessage: (message) => void this.messages.push(message) } : {}),
      onStatus: (status) => {
        this.statuses.push(status);
        onStatus?.(status);
      },
      onGap: ({ reason }) => this.gaps.push(reason),
    });
    undoAtEnd(() => this.connection.close());
  }

  get status(): Status {
    return this.connection.status;
  }

  get contents(): unknown[] {
    return this.messages.map(({ content }) => content);
  }

  async waitForState(state: Status['state']): Promise<void> {
    await until(() => this.status.state === state, `the state ${state}`);
  }

  async waitForContents(count: number): Promise<unknown[]> {
    await until(() => this.messages.length >= count, `${count} messages`);
    return this.contents;
  }
}
