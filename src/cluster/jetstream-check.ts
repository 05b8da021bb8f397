import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { StartError } from '../start-error.ts';

/**
 * The time to keep trying. While the servers elect a leader, JetStream answers that it is not enabled, or does not
 * answer.
 */
const PATIENCE_MILLISECONDS = 4000;
const RETRY_MILLISECONDS = 300;
const ANSWER_MILLISECONDS = 1500;

/** JetStream's error code for an account without JetStream. */
const NOT_ENABLED_FOR_ACCOUNT = 10_039;

/**
 * Waits until JetStream can be used on a connection, or the signal is aborted.
 *
 * @throws {StartError} if it still cannot be used after some seconds
 */
export async function checkJetStream(connection: NatsConnection, signal: AbortSignal): Promise<void> {
  const { jetstreamManager } = await import('@nats-io/jetstream');
  const end = performance.now() + PATIENCE_MILLISECONDS;
  while (!signal.aborted) {
    try {
      await jetstreamManager(connection, { timeout: ANSWER_MILLISECONDS });
      return;
    } catch (error) {
      if (performance.now() > end || isRefusal(error))
        throw new StartError(lineOf(error, connection), { cause: error });
    }
    await delay(RETRY_MILLISECONDS, undefined, { signal }).catch(() => undefined);
  }
}

/** Returns whether the user lacks a permission, which waiting does not change. */
function isRefusal(error: unknown): boolean {
  return /permissions violation/i.test((error as Error).message);
}

function lineOf(error: unknown, connection: NatsConnection): string {
  const { name, message, cause } = error as Error;
  const server = connection.getServer();
  if (name === 'JetStreamNotEnabled') {
    const { code } = (cause ?? {}) as { code?: unknown };
    return code === NOT_ENABLED_FOR_ACCOUNT
      ? `JetStream is not enabled for this account of NATS (${server}): enable it in the account's configuration or JWT.`
      : `JetStream is not enabled in NATS (${server}): add jetstream { … } to the configuration of the servers.`;
  }
  if (isRefusal(error)) {
    return `NATS (${server}) does not let this user ask JetStream (${message}): allow it to publish to $JS.API.> and to subscribe to _INBOX.>.`;
  }
  return `JetStream of NATS (${server}) does not answer (${message}): are most of its servers up?`;
}
