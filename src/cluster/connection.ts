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

/** The first connection fails after this time, whatever the number of servers and their addresses. */
const CONNECT_MILLISECONDS = 5000;

/** Then each server is asked for this time why. */
const PROBE_MILLISECONDS = 2000;

/**
 * A server that was killed, or cut off without a word, is noticed after two or three seconds. Another one is tried at
 * once, the same one after half a second to a second.
 */
const PACE = {
  timeout: 1500,
  pingInterval: 1000,
  maxPingOut: 2,
  reconnectTimeWait: 500,
  reconnectJitter: 500,
  reconnectJitterTLS: 500,
};

/** It connects again until it is closed: credentials that are refused may be mended, here or there. */
const PATIENCE = { maxReconnectAttempts: -1, ignoreAuthErrorAbort: true };

/** The surroundings of a connection. */
export interface NatsSurroundings {
  readonly config: NatsConfig;
  readonly logger: Logger;
  /** Ends the start if it is aborted. It has no effect on a connection that was made. */
  readonly signal: AbortSignal;
}

/**
 * Connects to NATS, and checks that its JetStream may be used. The client of NATS is loaded only now.
 *
 * @returns the connection, which connects again by itself until it is closed; `undefined` if the signal was aborted
 * @throws {StartError} within about ten seconds, with each server and why it cannot be used
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
      // The client goes on with a connection that is being made when it is closed.
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
 * Makes the first connection. If it fails although a server can be used, such as one that has just come up, it is tried
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

/** Waits for a connection. One that comes after that is closed. @throws {Error} if there is none in time */
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
