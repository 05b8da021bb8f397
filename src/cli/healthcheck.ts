import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { readSettings } from '../config/config.ts';
import { StartError } from '../start-error.ts';
import { readArguments } from './operands.ts';

/** A service that does not answer in this time is not healthy: /readyz answers within two seconds. */
const ANSWER_MILLISECONDS = 5000;

/** Addresses that listen on all interfaces of a machine, and the loopback address to connect to. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Returns what `healthcheck --help` prints. */
export function help(): string {
  return `Usage: tidings healthcheck [--ready] [--host ADDRESS] [--port NUMBER]

Asks the service on this machine whether it is alive (/healthz), and prints one line. It waits for up to five seconds. The
exit code is 0 or 1; a wrong command line is 1 as well, because container health checks reserve 2.

  --ready      asks whether the service can read and write its log (/readyz). Do not restart the service if it cannot: a
               restart does not fix a full disk
  --host       the address that the service listens on (default: the variable HOST, or else 127.0.0.1)
  --port       the port that it listens on (default: the variable PORT, or else 7070)

Examples:
  HEALTHCHECK CMD ["tidings", "healthcheck"]
  tidings healthcheck --ready --port 8080
`;
}

/** Asks the service. @throws {StartError} if it is not healthy */
export async function run(args: readonly string[]): Promise<number> {
  try {
    process.stdout.write(`${await ask(args)}\n`);
  } catch (error) {
    throw error instanceof StartError ? new StartError(error.message, { cause: error }) : error;
  }
  return 0;
}

async function ask(args: readonly string[]): Promise<string> {
  const { flags } = readArguments(args, {
    command: 'healthcheck',
    flags: { ready: { type: 'boolean' }, host: { type: 'string' }, port: { type: 'string' } },
  });
  const { host, port } = readSettings(process.env, { host: flags.host, port: flags.port }, ['host', 'port']);
  const address = LOOPBACK[host] ?? host;
  const path = flags.ready === true ? '/readyz' : '/healthz';
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}${path}`;
  let answer;
  try {
    answer = await answerOf(url);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StartError(`${url} does not answer (${code ?? message}).`, { cause: error });
  }
  const { status, text } = answer;
  if (status !== 200) throw new StartError(`${url} answers ${status}: ${text.slice(0, 500)}`);
  return `${url} answers ${status}: ${text.trim()}`;
}

/** Gets a URL. Does not use `fetch`, which refuses some ports that a service may have. */
async function answerOf(url: string): Promise<{ status: number | undefined; text: string }> {
  const request = get(url, { signal: AbortSignal.timeout(ANSWER_MILLISECONDS) });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += String(part);
  return { status: response.statusCode, text };
}
