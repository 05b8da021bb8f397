/** The program: reads the environment, runs a `Service`, and ends at a signal. */
import { readConfig, unknownVariables } from './config/config.ts';
import { openFileLimit } from './config/open-files.ts';
import { usage } from './config/usage.ts';
import { endOnSignal } from './end-on-signal.ts';
import { greeting } from './greeting.ts';
import { openLog } from './logging/logger.ts';
import { Service } from './service.ts';
import { StartError } from './start-error.ts';

/** Starts the service. Settles when it listens, or was closed before that. @throws {StartError} if it cannot start */
async function run(args: readonly string[], openFiles: number): Promise<void> {
  const config = readConfig(process.env, args, openFiles);
  const { logger, lines } = openLog(config.logLevel);
  const onFatal = (error: Error): void => {
    logger.fatal({ err: error }, 'the service cannot go on with its log: the process ends');
    process.exit(1);
  };
  const service = new Service({ config, logger, lines, now: Date.now, onFatal });
  endOnSignal(logger, () => service.close());
  for (const { name, nearest } of unknownVariables(process.env)) {
    logger.warn(
      { name, nearest },
      'an environment variable is not known, and has no effect: is the nearest one meant?',
    );
  }
  const origin = await service.start();
  if (origin !== undefined) process.stdout.write(greeting(origin, config));
}

// An output that nobody reads any more is not a reason to end.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);

// All files that the process makes are for this user alone, also those that SQLite makes in other threads.
process.umask(0o077);
const openFiles = openFileLimit();
const args = process.argv.slice(2);
const [first, ...rest] = args;
const isCluster = first === 'cluster';
if (args.includes('--help')) {
  process.stdout.write(isCluster ? (await import('./cluster/command.ts')).CLUSTER_USAGE : usage(openFiles));
} else {
  try {
    if (isCluster) await (await import('./cluster/command.ts')).runClusterCommand(rest, openFiles);
    else await run(args, openFiles);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`tidings: ${error.message.replaceAll(/\s+/g, ' ')}\n`);
    process.exit(1);
  }
}
