import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { NatsConfig } from '../config/nats.ts';
import { addressOf } from '../config/nats-url.ts';
import { sentence } from '../sentence.ts';
import { StartError } from '../start-error.ts';
import { checkJetStream } from './jetstream-check.ts';
import { NatsLink } from './nats-link.ts';
import { faultOf, type ProbeOptions } from './probe.ts';
import { authenticatorOf } from './sign-in.ts';
import { tlsOf } from './tls.ts';

/** The first connection fails after this time, however many servers and addresses there are. */
const CONNECT_MILLISECONDS = 5000;

/** The time in which each server is then probed for the reason. */
const PROBE_MILLISECONDS = 2000;

/**
 * A server that is killed or silently cut off is noticed after two or three seconds. Another server is tried at once,
 * the same one after half a second to a second.
 */
const PACE = {
  timeout: 1500,
  pingInterval: 1000,
  maxPingOut: 2,
  reconnectTimeWait: 500,
  reconnectJitter: 500,
  reconnectJitterTLS: 500,
};

/** The client reconnects until it is closed, since refused credentials may be corrected, here or in NATS. */
const PATIENCE = { maxReconnectAttempts: -1, ignoreAuthErrorAbort: true };

/** The surroundings of a connection. */
export interface NatsSurroundings {
  readonly config: NatsConfig;
  readonly logger: Logger;
  /** Cancels the start when it is aborted. It has no effect on an established connection. */
  readonly signal: AbortSignal;
}

/**
 * Connects to NATS, and checks that JetStream can be used. Loads the client of NATS only now.
 *
 * @returns the connection, which reconnects by itself until it is closed; `undefined` if the signal was aborted
 * @throws {StartError} within about ten seconds, with the reason why each server cannot be used
 */
export async function connectNats({
  config,
  logger,
  signal,
}: NatsSurroundings): Promise<NatsLink | undefined> {
  const nats = await import('@nats-io/transport-node');
  const tls = tlsOf(config, logger);
  const signIn = authenticatorOf(config.signIn, nats, logger);
  const closed = new AbortController();
  const options: ConnectionOptions = {
    ...PACE,
    ...PATIENCE,
    name: `tidings ${config.nodeName}`,
    servers: config.servers.map(addressOf),
    authenticator: (nonce) => {
      // If the client is closed while it is connecting, it continues to connect.
      closed.signal.throwIfAborted();
      return signIn(nonce);
    },
    noAsyncTraces: true,
    ...(tls === undefined ? {} : { tls }),
  };
  const probing = { tls, authenticator: signIn, signIn: config.signIn, milliseconds: PROBE_MILLISECONDS };
  const connection = await connectFirst(() => inTime(nats.connect(options), signal), config, probing, signal);
  if (connection === undefined) return undefined;
  const link = NatsLink.open(connection, closed, logger);
  try {
    await checkJetStream(connection, signal);
  } catch (error) {
    await link.close();
    throw error;
  }
  if (!signal.aborted) return link;
  await link.close();
  return undefined;
}

/**
 * Makes the first connection. If it fails although a server can be used, for example one that has just come up, tries
 * once more.
 */
async function connectFirst(
  connect: () => Promise<NatsConnection>,
  { servers }: NatsConfig,
  probing: ProbeOptions,
  signal: AbortSignal,
): Promise<NatsConnection | undefined> {
  const isAborted = (): boolean => signal.aborted;
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect();
    } catch (error) {
      if (isAborted()) return undefined;
      const faults = await Promise.all(servers.map((server) => faultOf(server, probing)));
      if (isAborted()) return undefined;
      if (attempt === 1 && faults.includes(undefined)) continue;
      const words = servers.map((server, index) => {
        return `${addressOf(server)} ${faults[index] ?? `failed (${(error as Error).message})`}`;
      });
      throw new StartError(sentence(`No server of NATS_URL can be used. ${words.join('; ')}`), {
        cause: error,
      });
    }
  }
}

/** Waits for a connection. Closes one that comes too late. @throws {Error} if there is none in time */
async function inTime(connecting: Promise<NatsConnection>, signal: AbortSignal): Promise<NatsConnection> {
  const done = new AbortController();
  const stopped = AbortSignal.any([signal, done.signal]);
  const late = delay(CONNECT_MILLISECONDS, undefined, { signal: stopped }).catch(() => undefined);
  try {
    const connection = await Promise.race([connecting, late]);
    if (connection !== undefined) return connection;
    connecting.then((unwanted) => unwanted.close()).catch(() => undefined);
    throw new Error('it took too long');
  } finally {
    done.abort();
  }
}
