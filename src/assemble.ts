import type { Logger } from 'pino';
import type { AppParts } from './app.ts';
import type { Tokens } from './auth/tokens.ts';
import type { Leadership } from './cluster/leadership.ts';
import type { ClusterPeers } from './cluster/peers.ts';
import type { Config } from './config/config.ts';
import { FairScheduler } from './fair-scheduler.ts';
import { Authenticator } from './http/authenticate.ts';
import { Origins } from './http/origins.ts';
import type { HttpServer } from './http/server.ts';
import { SessionCookie } from './http/session-cookie.ts';
import { Connections } from './hub/connections.ts';
import { Hub } from './hub/hub.ts';
import { Outage, type OutageTimes } from './hub/outage.ts';
import { Presence } from './hub/presence.ts';
import { Readiness } from './log/readiness.ts';
import type { ReplicatedLog } from './log/replicated-log.ts';
import { RefusalCounters } from './metrics/counters/refusal-counters.ts';
import { Metrics } from './metrics/metrics.ts';
import { PublishRate } from './publish/publish-rate.ts';
import { Notifier } from './push/notifier.ts';
import { PushClient } from './push/push-client.ts';
import { PushSender } from './push/push-sender.ts';
import type { VapidKeys } from './push/vapid.ts';
import { VapidSigner } from './push/vapid-signer.ts';
import { Heartbeats } from './stream/heartbeats.ts';
import { Pings } from './ws/pings.ts';

/** The surroundings of the parts of a service. */
export interface Surroundings {
  readonly config: Config;
  readonly logger: Logger;
  /** The number of dropped log lines. */
  readonly lines: { readonly dropped: number };
  /** Returns milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** The parts of a service that must be opened and closed. */
interface OpenedParts {
  /** `undefined` in open mode. */
  readonly tokens: Tokens | undefined;
  readonly http: HttpServer;
  readonly log: ReplicatedLog;
  readonly vapidKeys: VapidKeys;
  /** Times for tests, in place of the defaults. */
  readonly outageTimes?: OutageTimes;
  /** `undefined` if this is the only node. */
  readonly leadership?: Leadership | undefined;
  /** The other nodes of a cluster; `undefined` if this is the only one. */
  readonly peers?: ClusterPeers | undefined;
}

/** Creates the parts between the log and the port, and connects them. None of them works before its start. */
export function assemble(
  { config, logger, lines, now }: Surroundings,
  { tokens, http, log, vapidKeys, leadership, peers, outageTimes }: OpenedParts,
): AppParts {
  const { publicUrl, basePath, pushHosts, pushDelaySeconds: delaySeconds, vapidSubject: subject } = config;
  const heartbeatMilliseconds = config.heartbeatSeconds * 1000;
  const scheduler = new FairScheduler();
  const hub = new Hub((id) => log.cursor(id), scheduler, peers);
  const presence = new Presence(scheduler, now, peers);
  const limits = { total: config.maxStreams, perClient: config.maxStreamsPerClient };
  const connections = new Connections(presence, limits, scheduler, now);
  const origins = new Origins({ open: tokens === undefined, allowed: config.corsOrigins, publicUrl });
  const cookie = new SessionCookie({ publicUrl, basePath });
  const readiness = new Readiness(log, logger, () => leadership?.clock.fault);
  const refusals = new RefusalCounters();
  const { pushStore } = log;
  const signer = new VapidSigner({ ...vapidKeys, subject });
  const maySend = leadership === undefined ? undefined : (): boolean => leadership.lease.isHeld;
  const pushSender = new PushSender({
    client: new PushClient(),
    hosts: pushHosts,
    signer,
    logger,
    now,
    maySend,
  });
  const changes = leadership === undefined ? undefined : log;
  const sending = { log, pushStore, changes, sender: pushSender, delaySeconds };
  const notifier = new Notifier({ ...sending, scheduler, logger, now });
  return {
    log,
    pushStore,
    hub,
    scheduler,
    presence,
    connections,
    outage: new Outage(log, connections, scheduler, logger, outageTimes),
    heartbeats: new Heartbeats(heartbeatMilliseconds, scheduler, now),
    pings: new Pings(heartbeatMilliseconds, scheduler),
    authenticator: new Authenticator(tokens, origins, cookie),
    cookie,
    origins,
    rate: new PublishRate(config.publishRate),
    notifier,
    pushHosts,
    publicKey: vapidKeys.publicKey,
    readiness,
    refusals,
    cluster: peers,
    metrics: new Metrics({
      log,
      readiness,
      hub,
      connections,
      scheduler,
      isCluster: config.nats !== undefined,
      refusals,
      notifier,
      pushSender,
      http,
      lines,
      cluster: peers,
    }),
    logger,
    now,
  };
}
