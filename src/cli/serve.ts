import { basename } from 'node:path';
import { readConfig, unknownVariables } from '../config/config.ts';
import { openFileLimit } from '../config/open-files.ts';
import { usage } from '../config/usage.ts';
import { endOnSignal } from '../end-on-signal.ts';
import { greeting } from '../greeting.ts';
import { openLog } from '../logging/logger.ts';
import { Service } from '../service.ts';
import { Systemd } from './systemd.ts';

/** Returns what `serve --help` prints. */
export function help(): string {
  return usage(openFileLimit());
}

/** Starts the service, which ends at a signal. Settles when it listens, or was closed before. @throws {StartError} */
export async function run(args: readonly string[]): Promise<number> {
  const config = readConfig(process.env, args, openFileLimit());
  const { logger, lines } = await openLog(config.logLevel);
  const onFatal = (error: Error): void => {
    logger.fatal({ err: error }, 'the service cannot go on with its log: the process ends');
    process.exit(1);
  };
  const service = new Service({ config, logger, lines, now: Date.now, onFatal });
  const systemd = new Systemd({
    environment: process.env,
    onFault: (error) =>
      logger.warn(
        { err: error },
        'cannot notify systemd of the state of the service: is systemd-notify installed?',
      ),
  });
  endOnSignal(logger, async () => {
    await Promise.all([systemd.stopping(), service.close()]);
  });
  for (const { name, nearest } of unknownVariables(process.env)) {
    logger.warn(
      { name, nearest },
      'an environment variable is unknown and has no effect: did you mean the nearest one?',
    );
  }
  const origin = await service.start();
  if (origin === undefined) return 0;
  process.stdout.write(greeting(origin, config, tokenCommand()));
  await systemd.ready(() => service.probe());
  return 0;
}

/** Returns the command that makes a token. It depends on how this program was started: installed, by npx, or in a clone. */
function tokenCommand(): string {
  if (basename(process.argv[1] ?? '') !== 'tidings') return 'npm run -s token --';
  return process.env['npm_command'] === 'exec' ? 'npx tidings token' : 'tidings token';
}
