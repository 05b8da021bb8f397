import { parseArgs } from 'node:util';
import { type Config, readConfig } from '../config/config.ts';
import type { NatsConfig } from '../config/nats.ts';
import { explain } from '../files/explain.ts';
import { realFile } from '../files/real-file.ts';
import { sizeText } from '../size-text.ts';
import { lookBesideService } from '../log/replica/replica-file.ts';
import { openLog } from '../logging/logger.ts';
import { newVapidKeys } from '../push/vapid.ts';
import { flagFault } from '../flag-fault.ts';
import { StartError, UsageError } from '../start-error.ts';
import { Catalogue } from './catalogue.ts';
import { connectJetStream, type JetStreamLink } from './jetstream-link.ts';
import { retentionText, statusOf, statusText } from './cluster-status.ts';
import { initCluster, type InitSurroundings } from './init.ts';
import { inheritanceOf, withStoppedDatabase } from './local-log.ts';
import { streamName } from './names.ts';
import { recordAfter, reseed } from './reseed.ts';
import { changeRetention } from './retention.ts';
import { listenForNodes } from './roll-call.ts';
import { makeSnapshot } from './snapshot.ts';

/** The flags of all commands. */
interface Flags {
  readonly replicas?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly days?: string;
  readonly messages?: string;
}

/** The surroundings of a command. */
interface Surroundings extends InitSurroundings {
  readonly config: Config;
}

interface Command {
  /** The flags that the command accepts. */
  readonly flags: readonly (keyof Flags)[];
  /** The text that `--help` shows. */
  readonly about: string;
  /** @returns the text to print */
  readonly run: (surroundings: Surroundings, flags: Flags) => Promise<string>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  init: {
    flags: ['replicas'],
    about: `init [--replicas 3]
      Creates the log in NATS, once for all nodes. If DATABASE has messages, it becomes the beginning of the log, with its
      epochs, its retention and its keys for notifications, and this machine keeps it as one of the nodes. The service
      must be stopped. If the command is interrupted, repeat it.`,
    run: init,
  },
  retention: {
    flags: ['days', 'messages'],
    about: `retention [--days N] [--messages N]
      Changes how long all nodes keep messages, and how many per recipient; 0 keeps all. An omitted flag leaves its
      setting as it is. Without flags, prints the settings.`,
    run: retention,
  },
  status: {
    flags: ['json'],
    about: `status [--json]
      Prints the log, its stream, its snapshots, whether NATS flushes before it acknowledges, which node holds the lease,
      and the nodes heard within a second. Nodes with different digests after the same entry have different states. The
      lag of a node is counted from its newest heartbeat, which may be a second old.`,
    run: status,
  },
  snapshot: {
    flags: [],
    about: `snapshot
      Makes a snapshot of DATABASE now, while its node runs. Nodes with an empty or old database start from it.`,
    run: snapshot,
  },
  reseed: {
    flags: ['replicas', 'yes'],
    about: `reseed [--yes] [--replicas 3]
      For a log that NATS has lost or that nodes disagree about. Shows the state of DATABASE; with --yes, the log
      continues from it in a new stream. Run it on the node with the newest database, which must be stopped. Other nodes
      keep their old databases beside the new ones. If the command is interrupted, repeat it.`,
    run: reseedFrom,
  },
};

/** The text of `cluster --help`. */
export const CLUSTER_USAGE = `Usage: tidings cluster COMMAND [--flag value]...

${Object.values(COMMANDS)
  .map(({ about }) => `  ${about}\n`)
  .join('\n')}
NATS is reached as the service reaches it: by NATS_URL and the related variables. DATABASE is this node's.
A command that fails prints one line and ends with exit code 1; with 2 if the command line is wrong.

Examples:
  NATS_URL=nats://10.0.0.1 tidings cluster init
  tidings cluster status --json
  tidings cluster retention --days 30 --messages 10000
`;

/**
 * Runs a command on a cluster, and prints its output.
 *
 * @param args the arguments after `cluster`
 * @param openFiles the number of files that this process may open
 * @throws {StartError} if the arguments are wrong, or NATS cannot be used. The command can then be repeated
 */
export async function runClusterCommand(args: readonly string[], openFiles: number): Promise<void> {
  const [name, ...rest] = args;
  const command = name === undefined || !Object.hasOwn(COMMANDS, name) ? undefined : COMMANDS[name];
  if (command === undefined) {
    const what = name === undefined ? 'A command is missing' : `There is no command "${name.slice(0, 100)}"`;
    throw new UsageError(`${what}: cluster --help lists them.`);
  }
  const flags = readFlags(rest, command);
  const config = readConfig(process.env, [], openFiles);
  if (config.nats === undefined) throw new StartError('NATS_URL is not set: it says where NATS is.');
  process.stdout.write(await withJetStream(config.nats, config, (all) => command.run(all, flags)));
}

async function init(surroundings: Surroundings, flags: Flags): Promise<string> {
  const { nats, config } = surroundings;
  const replicas = replicasOf(flags) ?? 3;
  return withStoppedDatabase(config, surroundings.logger, async (database) => {
    const { vapidKeys = newVapidKeys(), before, retention } = inheritanceOf(database, config);
    const { record, isNew } = await initCluster(surroundings, { before, retention, vapidKeys, replicas });
    const name = streamName(nats.stream, record.generation);
    if (!isNew) return `The log ${record.logId} already exists in the stream ${name}: nothing was changed.\n`;
    const from = before === undefined ? '' : `, and begins with the content of ${before.file}`;
    return `The log ${record.logId} was made in the stream ${name}${from}.\n`;
  });
}

async function retention({ connected, nats }: Surroundings, { days, messages }: Flags): Promise<string> {
  const { record } = await existing(connected, nats);
  const isChanged = days !== undefined || messages !== undefined;
  if (isChanged) await changeRetention(connected, nats.stream, record, { days, messages });
  const [node] = await listenForNodes(connected.link.connection, nats.stream, record.logId);
  const known =
    node === undefined
      ? 'No node was heard, so the setting is unknown.'
      : `${node.name} keeps ${retentionText(node.retention)}.`;
  return isChanged ? `The retention of all nodes was changed. ${known}\n` : `${known}\n`;
}

async function status({ connected, nats }: Surroundings, { json = false }: Flags): Promise<string> {
  const { catalogue, record } = await existing(connected, nats);
  const found = await statusOf(connected, { catalogue, record, nats });
  return json ? `${JSON.stringify(found)}\n` : statusText(found);
}

async function snapshot(surroundings: Surroundings): Promise<string> {
  const { connected, nats, config } = surroundings;
  const { catalogue, record } = await existing(connected, nats);
  const file = explain(config.database, () => realFile(config.database));
  const { logId, generation } = record;
  const state = explain(file, () => lookBesideService(file));
  if (state.logId !== logId || state.generation !== generation) {
    throw new StartError(
      `DATABASE is not a replica of generation ${generation} of the log ${logId}: set it to that of a node.`,
    );
  }
  const made = await makeSnapshot({ ...surroundings, catalogue }, { file, logId, generation });
  const { id, sequence, bytes, seconds } = made;
  return `The snapshot ${id} was made of entry ${sequence}: ${sizeText(bytes)}, in ${seconds} s.\n`;
}

async function reseedFrom(surroundings: Surroundings, flags: Flags): Promise<string> {
  const { connected, nats, config } = surroundings;
  const { catalogue, record } = await existing(connected, nats);
  const replicas = replicasOf(flags) ?? (await catalogue.replicas());
  return withStoppedDatabase(config, surroundings.logger, async ({ file, state }) => {
    const after = recordAfter(record, state);
    const name = streamName(nats.stream, after.generation);
    if (after === record || state === undefined)
      return `The log already continues in ${name}: nothing was changed.\n`;
    const { sequence, digest, head } = state;
    const place = `entry ${String(sequence)}, message ${head}, digest ${digest === '' ? 'none' : digest}`;
    if (flags.yes !== true) {
      const found = await statusOf(connected, { catalogue, record, nats });
      return `${statusText(found)}database   ${place}\n\nWith --yes, the log continues from ${file}, in the stream ${name}.\n`;
    }
    await reseed({ ...surroundings, catalogue }, { file, state, record, replicas });
    return `The log continues in the stream ${name}, after ${place}. Start this node first, then the others.\n`;
  });
}

async function existing(connected: JetStreamLink, { stream }: NatsConfig) {
  const catalogue = await Catalogue.open(connected.client, stream);
  return { catalogue, record: await catalogue.existingLog() };
}

function replicasOf({ replicas }: Flags): number | undefined {
  if (replicas === undefined) return undefined;
  if (!/^[135]$/.test(replicas)) throw new UsageError('--replicas must be 1, 3 or 5.');
  return Number(replicas);
}

const FLAGS = {
  replicas: { type: 'string' },
  json: { type: 'boolean' },
  yes: { type: 'boolean' },
  days: { type: 'string' },
  messages: { type: 'string' },
} as const;

function readFlags(args: readonly string[], { flags }: Command): Flags {
  const options = Object.fromEntries(flags.map((flag) => [flag, FLAGS[flag]]));
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(`${flagFault(error)} cluster --help lists the flags.`);
  }
}

async function withJetStream(
  nats: NatsConfig,
  config: Config,
  run: (surroundings: Surroundings) => Promise<string>,
): Promise<string> {
  const { logger } = await openLog(config.logLevel === 'info' ? 'warn' : config.logLevel);
  const { signal } = new AbortController();
  const connected = await connectJetStream({ config: nats, logger, signal });
  if (connected === undefined) return '';
  try {
    return await run({ connected, nats, logger, signal, config });
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(faultOf(error as Error), { cause: error });
  } finally {
    await connected.link.close();
  }
}

/** Returns the error line for a command that NATS did not let finish. */
function faultOf({ message }: Error): string {
  const [, action, subject] = /permissions violation for (\w+) to "([^"]*)"/i.exec(message) ?? [];
  if (message.includes('replicas > 1 not supported')) {
    return 'This server of NATS is not in a cluster, so it keeps one copy: repeat the command with --replicas 1.';
  }
  if (subject === undefined) return `The command was not completed (${message}). Repeat it.`;
  const may = action?.toLowerCase() === 'subscription' ? 'subscribe to' : 'publish to';
  return (
    `NATS does not let this user ${may} "${subject}": allow it in the permissions of each server (with another NATS_STREAM ` +
    'they need its name), reload their configuration, and repeat the command.'
  );
}
