/** The laws of what a server says on a WebSocket: that of the wire, and the rights of who listens. */
import type { WireMessage } from '../support/api.ts';
import { messagesOf } from './answer-law.ts';
import { RightsLaw } from '../support/frame-law.ts';
import type { Person } from '../support/persons.ts';
import { isProblemType } from '../support/problems.ts';
import { SocketLaw } from '../support/wire-law.js';

/** The frames that came on a socket. */
export interface SocketReport {
  readonly faults: readonly string[];
  /** The publishes that were acknowledged to its client. */
  readonly published: readonly WireMessage[];
}

/** Looks at all that a server wrote behind its 101; the last frame may be cut. @param person `undefined` where none may be let in */
export function judgeSocket(received: Buffer, person: Person | undefined): SocketReport {
  const faults: string[] = [];
  const published: WireMessage[] = [];
  const rights = person === undefined ? undefined : new RightsLaw({ reader: person, follows: () => true });
  const wire = new SocketLaw(
    undefined,
    (said) => {
      if (rights !== undefined) rights.take(said);
      else if (said.event !== 'bye') faults.push(`without a good token: ${said.event}`);
    },
    ({ event, data }) => {
      if (event === 'published') published.push(...messagesOf(data));
      else faults.push(...faultsOfRefusal(data));
    },
  );
  wire.feed(received);
  return { faults: [...wire.faults, ...faults, ...(rights?.faults ?? [])], published };
}

function faultsOfRefusal(data: unknown): string[] {
  const { type, title, status, detail } = data as Record<string, unknown>;
  const good =
    isProblemType(type, status) &&
    typeof title === 'string' &&
    typeof detail === 'string' &&
    typeof status === 'number' &&
    status >= 400 &&
    status < 500;
  return good ? [] : [`no problem: ${JSON.stringify(data)}`];
}
