/** The program: reads the configuration, wires the parts, listens, and ends gracefully on a signal. */
import type { Logger } from 'pino';
import { createApp } from './app.ts';
import { KeySet } from './auth/key-set.ts';
import { SecretKeys } from './auth/secret-keys.ts';
import { Tokens } from './auth/tokens.ts';
import { type AuthConfig, type Config, readConfig, unknownVariables, usage } from './config.ts';
import { type Ending, endOnSignal } from './end-on-signal.ts';
import { Authenticator } from './http/authenticate.ts';
import { Origins } from './http/origins.ts';
import { PublishRate } from './http/publish-rate.ts';
import { Refusals } from './http/refusals.ts';
import { SessionCookie } from './http/session-cookie.ts';
import { Devices } from './hub/devices.ts';
import { Hub } from './hub/hub.ts';
import { Presence } from './hub/presence.ts';
import { Turns } from './hub/turns.ts';
import { inspect } from './log/database.ts';
import { EmbeddedLog } from './log/embedded-log.ts';
import { Readiness } from './log/readiness.ts';
import { openLog, type ServiceLog } from './logging/logger.ts';
import { Metrics } from './metrics/metrics.ts';
import { openFileLimit } from './open-files.ts';
import { PushClient } from './push/push-client.ts';
import { PushSender } from './push/push-sender.ts';
import { Pushes } from './push/pushes.ts';
import { VapidSigner } from './push/vapid-signer.ts';
import { makeVapidKeys, readVapidKeys, vapidFile } from './push/vapid.ts';
import { HttpServer } from './server.ts';
import { StartError } from './start-error.ts';
import { Heartbeats } from './stream/heartbeats.ts';
import { Pings } from './ws/pings.ts';

/** Connections that have not ended by then are cut, so that the whole end takes less than five seconds. */
const DRAIN_MILLISECONDS = 3000;

/** Notifications that are under way by then are cut: they are derived again at the next start. */
const PUSH_MILLISECONDS = 1000;

/** Starts the service. It is not served any more if the process was told to end meanwhile. */
async function start(config: Config, { logger, lines }: ServiceLog, ending: Ending): Promise<void> {
  const now = Date.now;
  for (const { name, nearest } of unknownVariables(process.env)) {
    logger.warn(
      { name, nearest },
      'an environment variable is not known, and has no effect: is the nearest one meant?',
    );
  }
  const { publicUrl, trustProxy } = config;
  const tokens = config.auth === undefined ? undefined : await createTokens(config.auth, logger, now);
  inspect(config.database);
  const givenKeys = config.vapidKeys ?? readVapidKeys(vapidFile(config.database));
  const http = await HttpServer.listen(config.host, config.port, config.maxConnections);
  const retention = { days: config.retentionDays, messages: config.retentionMessages };
  const onFatal = (error: Error): void => {
    logger.fatal({ err: error }, 'the log cannot be written any more: the process ends');
    process.exit(1);
  };
  const trustsClock = config.retentionClock === 'trusted';
  const file = config.database;
  const opening = EmbeddedLog.open({ file, retention, trustsClock, logger, now, onFatal });
  ending.end = () => opening.then((opened) => opened.close());
  const log = await opening;
  if (ending.isUnderWay) return;
  const vapidKeys = givenKeys ?? makeVapidKeys(vapidFile(config.database));
  const turns = new Turns();
  const hub = new Hub((id) => log.cursor(id), turns);
  log.onCommit((messages) => hub.dispatch(messages));
  const presence = new Presence(turns, now);
  const devices = new Devices(
    presence,
    { inAll: config.maxStreams, perClient: config.maxStreamsPerClient },
    turns,
    now,
  );
  const heartbeats = new Heartbeats(config.heartbeatSeconds * 1000, turns, now);
  const pings = new Pings(config.heartbeatSeconds * 1000, turns);
  const origins = new Origins({ open: tokens === undefined, allowed: config.corsOrigins, publicUrl });
  const basePath = (publicUrl?.pathname ?? '').replace(/\/$/, '');
  const cookie = new SessionCookie({ publicUrl, basePath });
  const authenticator = new Authenticator(tokens, origins, cookie);
  const rate = new PublishRate(config.publishRate);
  const readiness = new Readiness(log);
  const refusals = new Refusals();
  const { pushHosts, pushDelaySeconds: delaySeconds, vapidSubject: subject } = config;
  const signer = new VapidSigner({ ...vapidKeys, subject });
  const pushSender = new PushSender({ client: new PushClient(), hosts: pushHosts, signer, logger, now });
  const pushes = new Pushes({ log, sender: pushSender, turns, logger, now, delaySeconds });
  const metrics = new Metrics({
    log,
    readiness,
    hub,
    devices,
    turns,
    refusals,
    pushes,
    pushSender,
    http,
    lines,
  });
  const parts = {
    log,
    hub,
    turns,
    presence,
    devices,
    heartbeats,
    pings,
    authenticator,
    cookie,
    origins,
    rate,
    pushes,
    pushHosts,
    publicKey: vapidKeys.publicKey,
    readiness,
    refusals,
    metrics,
    logger,
    now,
  };
  http.serve(createApp(parts, { basePath, trustProxy }));
  greet(http.origin, config);
  logger.info({ origin: http.origin, database: config.database, head: log.head }, 'listening');

  ending.end = async () => {
    devices.beginShutdown();
    const closed = http.close(DRAIN_MILLISECONDS);
    const pushed = pushes.close(PUSH_MILLISECONDS);
    await log.seal();
    await devices.shutdown();
    await closed;
    await pushed;
    heartbeats.stop();
    await log.close();
  };
}

/** What tokens are checked with. @throws {StartError} where the file of the keys is none */
async function createTokens(auth: AuthConfig, logger: Logger, now: () => number): Promise<Tokens> {
  const { secrets: configured, keySource, issuer, audience } = auth;
  const secrets = configured === undefined ? undefined : await SecretKeys.open(configured, logger);
  let keySet: KeySet | undefined;
  if (keySource !== undefined) {
    keySet = new KeySet(keySource, logger);
    try {
      await keySet.open();
    } catch (error) {
      const why = (error as Error).message;
      if (typeof keySource === 'string') {
        throw new StartError(
          `AUTH_JWKS: ${keySource} cannot be used (${why}). Set it to a file with public keys.`,
        );
      }
      logger.error({ err: error }, 'AUTH_JWKS cannot be had yet: tokens cannot be checked until it can');
    }
  }
  return new Tokens({ secrets, keySet, issuer, audience }, now);
}

/** Says where it listens and how to try it: for a person, so on the output and not in the log. */
function greet(origin: string, config: Config): void {
  const { retentionDays: days, retentionMessages: messages } = config;
  const kept = [
    ...(days > 0 ? [`for ${days} days`] : []),
    ...(messages > 0 ? [`the newest ${messages} of each recipient`] : []),
  ];
  const open = config.auth === undefined;
  const [setToken, bearer] = open
    ? ['', '']
    : [`  TOKEN=$(npm run -s token -- --sub bob --send-to bob)\n`, ` -H "Authorization: Bearer $TOKEN"`];
  process.stdout.write(
    `Tidings listens on ${origin} (${open ? 'open to this machine, not to others' : 'for those with a token'}). ` +
      `Messages are kept ${kept.length === 0 ? 'for ever' : kept.join(', ')}, in ${config.database}. Try it:\n` +
      setToken +
      `  curl -N${bearer} '${origin}/stream?recipient=bob'\n` +
      `  curl${bearer} -d recipient=bob -d content=hi ${origin}/messages\n`,
  );
}

// Whoever does not read the output is not told; that is no reason to end.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);

// What it makes is for this user alone, also what SQLite makes in other threads.
process.umask(0o077);
const openFiles = openFileLimit();
const args = process.argv.slice(2);
if (args.includes('--help')) {
  process.stdout.write(usage(openFiles));
} else {
  try {
    const config = readConfig(process.env, args, openFiles);
    const log = openLog(config.logLevel);
    await start(config, log, endOnSignal(log.logger));
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`tidings: ${error.message.replaceAll(/\s+/g, ' ')}\n`);
    process.exit(1);
  }
}
