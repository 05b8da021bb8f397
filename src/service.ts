import type { Logger } from 'pino';
import { createApp } from './app.ts';
import { assemble, type Surroundings } from './assemble.ts';
import { KeySet } from './auth/key-set.ts';
import { SecretKeys } from './auth/secret-keys.ts';
import { Tokens } from './auth/tokens.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { Leadership } from './cluster/leadership.ts';
import type { ClusterPeers } from './cluster/peers.ts';
import type { SnapshotKeeper } from './cluster/snapshot-keeper.ts';
import type { AuthConfig } from './config/config.ts';
import { HttpServer } from './http/server.ts';
import { inspect } from './log/replica/database.ts';
import { openLocalLog } from './log/open-local-log.ts';
import type { ReplicatedLog } from './log/replicated-log.ts';
import { keepVapidKeys, makeVapidKeys, readVapidKeys, vapidFile, type VapidKeys } from './push/vapid.ts';

/** Connections that have not ended within this time are cut, so that closing takes less than five seconds. */
const DRAIN_MILLISECONDS = 3000;

/** Notifications still in flight after this time are aborted. The next start finds them in the log again. */
const PUSH_MILLISECONDS = 1000;

/** The surroundings of a service, and a callback for a fatal error. */
interface ServiceOptions extends Surroundings {
  /** Called if this process can never write the log again, and should end. */
  readonly onFatal: (error: Error) => void;
}

/** An open log and, in a cluster, the parts that work with the other nodes. */
interface OpenLog {
  readonly log: ReplicatedLog;
  readonly leadership?: Leadership;
  readonly peers?: ClusterPeers;
  readonly snapshots?: SnapshotKeeper;
}

/**
 * The service in one process, from its start to its end. It starts only once. For another start, create another one.
 */
export class Service {
  readonly #options: ServiceOptions;
  /** Functions that close the open parts, called in reverse order of opening. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  #starting: Promise<string | undefined> | undefined;
  #closing: Promise<void> | undefined;
  /** Aborted when the service should close. */
  readonly #ending = new AbortController();
  #log: ReplicatedLog | undefined;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /**
   * Starts the service. Reads the keys and inspects the database, then takes the port, then locks the database and
   * migrates it to the current schema. If any of this fails, closes everything that was opened. A second call returns
   * the promise of the first.
   *
   * @returns the URL at which it listens, without a trailing slash; `undefined` if `close` was called before that
   * @throws {StartError} with a line for the person who starts the service
   */
  start(): Promise<string | undefined> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Closes the service: stores and answers accepted publishes, says goodbye to streams, answers polls, and closes the
   * log. Cancels a start that is under way. A second call returns the promise of the first. A service closed before its
   * start never starts.
   *
   * @returns a promise that settles when everything is closed
   */
  close(): Promise<void> {
    this.#ending.abort();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Tries to write and read the log. Does nothing before it is open. @throws {LogUnavailable} if that fails */
  async probe(): Promise<void> {
    await this.#log?.probe();
  }

  async #start(): Promise<string | undefined> {
    try {
      const origin = await this.#open();
      if (origin === undefined) await this.#closeAll();
      return origin;
    } catch (error) {
      await this.#closeAll();
      throw error;
    }
  }

  async #close(): Promise<void> {
    // A start that is under way closes by itself anything that it opens after this.
    await this.#closeAll();
    await this.#starting?.catch(() => undefined);
  }

  async #closeAll(): Promise<void> {
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) await close();
  }

  async #open(): Promise<string | undefined> {
    const { config, logger, now } = this.#options;
    const { database: file } = config;
    if (this.#isClosing()) return undefined;
    const tokens = config.auth === undefined ? undefined : tokensOf(config.auth, logger, now);
    this.#closers.push(() => tokens?.stop());
    await tokens?.start();
    if (this.#isClosing()) return undefined;
    inspect(file);
    const cluster = await this.#openCluster();
    this.#closers.push(() => cluster?.close());
    if (this.#isClosing()) return undefined;
    const givenKeys = cluster?.record.vapidKeys ?? config.vapidKeys ?? readVapidKeys(vapidFile(file));
    const { host, port, maxConnections, basePath } = config;
    const http = await HttpServer.listen(host, port, maxConnections, { basePath });
    this.#closers.push(() => http.close(0));
    if (this.#isClosing()) return undefined;
    await cluster?.prepareReplica(file, config.upgradeCopy === 'kept');
    if (this.#isClosing()) return undefined;
    const { log, leadership, peers, snapshots } = await this.#openLog(cluster);
    this.#closers.push(() => log.close());
    this.#log = log;
    this.#closers.push(() => leadership?.stop());
    this.#closers.push(() => snapshots?.close());
    if (this.#isClosing()) return undefined;
    const vapidKeys = givenKeys ?? this.#newKeys();
    if (cluster !== undefined) this.#keepKeys(cluster);
    const parts = assemble(this.#options, { tokens, http, log, vapidKeys, leadership, peers });
    const { hub, connections, outage, heartbeats, pings, presence, notifier, metrics } = parts;
    const app = createApp(parts, config);
    log.onCommit((messages) => hub.dispatch(messages));
    notifier.start();
    leadership?.lease.onHold(() => notifier.resume());
    leadership?.lease.onLose(() => notifier.pause());
    leadership?.start();
    metrics.start();
    // A single node is never cut off.
    const clocks = [connections, heartbeats, pings, ...(cluster === undefined ? [] : [outage])];
    for (const clock of clocks) clock.start();
    peers?.start({ ...parts, log });
    snapshots?.start();
    this.#closers.push(async () => {
      connections.beginShutdown();
      const drained = http.close(DRAIN_MILLISECONDS);
      const pushed = notifier.close(PUSH_MILLISECONDS);
      await log.seal();
      await connections.shutdown();
      peers?.stop();
      await drained;
      await pushed;
      for (const clock of [...clocks, presence]) clock.stop();
    });
    http.serve(app);
    logger.info({ origin: http.origin, database: file, head: log.head }, 'listening');
    return http.origin;
  }

  /**
   * Connects to the cluster. Returns `undefined` if this is the only node, and then loads neither the client of NATS
   * nor any code that uses it.
   */
  async #openCluster(): Promise<Cluster | undefined> {
    const { config, logger } = this.#options;
    if (config.nats === undefined) return undefined;
    const { Cluster } = await import('./cluster/cluster.ts');
    return Cluster.open({ config: config.nats, logger, signal: this.#ending.signal });
  }

  async #openLog(cluster: Cluster | undefined): Promise<OpenLog> {
    const { config, logger, now, onFatal } = this.#options;
    const options = {
      file: config.database,
      retention: { days: config.retentionDays, messages: config.retentionMessages },
      keepsCopy: config.upgradeCopy === 'kept',
      trustsClock: config.retentionClock === 'trusted',
      logger,
      now,
      onFatal,
    };
    if (cluster === undefined) return { log: await openLocalLog(options) };
    const { stream, record } = cluster;
    if (config.vapidKeys !== undefined && config.vapidKeys.publicKey !== record.vapidKeys.publicKey) {
      logger.warn(
        'VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY of this node have no effect: devices have subscribed with the key pair of ' +
          'the cluster, which is different',
      );
    }
    const { openClusterLog } = await import('./log/open-cluster-log.ts');
    const opened = await openClusterLog({
      ...options,
      stream,
      address: record,
      signal: this.#ending.signal,
    });
    const { log, order } = opened;
    const refusing = (): string | undefined => opened.refusing();
    const leadership = cluster.leadership({ order, refusing, logger, now });
    const { lease } = leadership;
    lease.onHold(() => opened.lead(true));
    lease.onLose(() => opened.lead(false));
    const { clock } = leadership;
    const peers = cluster.peers({
      order,
      clock,
      retention: opened.retention,
      logger,
      now,
      lease: () => lease.holder,
    });
    const snapshots = cluster.snapshots({
      database: config.database,
      isHolder: () => lease.isHeld,
      head: () => log.head,
      positions: () => peers.positions,
    });
    return { log, leadership, peers, snapshots };
  }

  #newKeys(): VapidKeys {
    const { config, logger } = this.#options;
    const file = vapidFile(config.database);
    const keys = makeVapidKeys(file);
    logger.info({ file }, 'a key pair for notifications was made');
    return keys;
  }

  #keepKeys({ record }: Cluster): void {
    const { config, logger } = this.#options;
    const aside = keepVapidKeys(vapidFile(config.database), record.vapidKeys);
    if (aside === undefined) return;
    logger.warn(
      { file: aside },
      'the cluster has a different key pair for notifications; the one that this node had is kept in this file',
    );
  }

  #isClosing(): boolean {
    return this.#closing !== undefined;
  }
}

/** Creates the verifier of tokens. It has no keys before its start. */
function tokensOf(config: AuthConfig, logger: Logger, now: () => number): Tokens {
  const { secrets, keySource, issuer, audience } = config;
  const keys = {
    secrets: secrets === undefined ? undefined : new SecretKeys(secrets, logger),
    keySet: keySource === undefined ? undefined : new KeySet(keySource, logger),
    issuer,
    audience,
  };
  return new Tokens(keys, now);
}
