import { type LogFn, type Logger, type LoggerOptions, pino } from 'pino';
import { LineLimit } from './line-limit.ts';
import { LineWriter, openErrorOutput } from './line-writer.ts';

const DEBUG = 20;
const FATAL = 60;

/** The log of the service, and its writer. */
export interface ServiceLog {
  readonly logger: Logger;
  readonly lines: LineWriter;
}

/**
 * Opens the log of the service on the error output: JSON lines, or readable ones on the terminal of a clone. It never
 * blocks or ends the service. Waiting lines are written when the process ends. Node's warnings become lines.
 */
export async function openLog(level: string): Promise<ServiceLog> {
  const prettify = process.stderr.isTTY ? await loadPrettifier() : undefined;
  const lines = new LineWriter(openErrorOutput(), (count) => {
    logger.warn(
      { lines: count },
      'lines of this log were dropped: the error output did not accept them in time',
    );
  });
  const limit = new LineLimit();
  // No code logs these headers. They are left out even if an error ever carries headers.
  const redact = ['authorization', 'cookie', 'set-cookie'].flatMap((name) => [
    `["${name}"]`,
    `*["${name}"]`,
    `*.*["${name}"]`,
  ]);
  const options: LoggerOptions = { level, base: null, redact };
  const destination = {
    write: (line: string): void => lines.write(prettify === undefined ? line : prettify(line)),
  };
  // At level debug every line is wanted.
  const verbose = (pino.levels.values[level] ?? FATAL) <= DEBUG;
  const logger = pino(verbose ? options : { ...options, hooks: { logMethod: limited(limit) } }, destination);
  process.on('exit', () => {
    limit.flush();
    lines.flush();
  });
  // By default Node writes warnings itself, and blocks until it can.
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message, stack }) => {
    // The error itself is not logged: it may carry the connection that it is about.
    logger.warn({ err: { type: name, message, stack } }, 'a warning from Node');
  });
  return { logger, lines };
}

/** Loads the formatter of readable lines; `undefined` if it is not installed, as in production. */
async function loadPrettifier(): Promise<((line: string) => string) | undefined> {
  try {
    const { prettyFactory } = await import('pino-pretty');
    return prettyFactory({ ignore: 'pid,hostname' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Limits lines of each kind, except fatal ones. The next line says in `unlogged` how many were left out. */
function limited(limit: LineLimit): NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']> {
  return function (args, method, level) {
    if (level >= FATAL) {
      method.apply(this, args);
      return;
    }
    const [first, second] = args as unknown[];
    const [fields, message] = typeof first === 'string' ? [{}, first] : [first as object, String(second)];
    limit.pass(message, (unlogged) => {
      const more = unlogged === 0 ? fields : { ...fields, unlogged };
      method.apply(this, [more, message] as unknown as Parameters<LogFn>);
    });
  };
}
