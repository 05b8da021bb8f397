/** The connection does what the machine says, and no more of it once the page has said otherwise. */
import { expect, test } from '@jest/globals';
import { createConnection } from '../../public/client/connection.js';
import type { Service } from '../../public/client/service.js';

function connectionOf(onState: (state: { state: string }) => void) {
  const opened: string[] = [];
  const service = {
    token: undefined,
    url: (path: string) => new URL(path, 'https://push.example.org/'),
    openStream: ({ pathname }: URL) => {
      opened.push(pathname);
      return new Promise(() => undefined);
    },
  };
  const connection = createConnection(
    {
      service: service as unknown as Service,
      inboxes: [['recipient', 'bob']],
      cursor: () => undefined,
      last: 0,
      transport: 'fetch',
      renewal: undefined,
    },
    [],
    {
      onFrame: () => undefined,
      onPage: () => Promise.resolve(),
      onState,
      onExpired: () => Promise.resolve(),
      onFault: () => Promise.resolve(false),
    },
  );
  return { connection, opened };
}

test('a connection opens a stream when it is started', () => {
  const { connection, opened } = connectionOf(() => undefined);
  connection.start();
  connection.close();
  expect(opened).toEqual(['/stream']);
});

test('a page that closes the connection while it is told that it connects leaves no stream open', () => {
  const states: string[] = [];
  const { connection, opened } = connectionOf(({ state }) => {
    states.push(state);
    connection.close();
  });
  connection.start();
  expect([states, opened]).toEqual([['connecting'], []]);
});
