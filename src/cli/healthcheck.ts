import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { readSettings } from '../config/config.ts';
import { StartError } from '../start-error.ts';
import { readArguments } from './operands.ts';

/** A service that says nothing for longer is not well: /readyz answers within two seconds. */
const ANSWER_MILLISECONDS = 5000;

/** Addresses to listen on that stand for all of a machine, and one of them to connect to. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Returns what `healthcheck --help` prints. */
export function help(): string {
  return `Usage: tidings healthcheck [--ready] [--host ADDRESS] [--port NUMBER]

Asks the service on this machine, within five seconds, whether it is alive (/healthz), and prints a line. Its exit code is
0 or 1, also if the command line is wrong: containers reserve 2.

  --ready      asks whether it can read and write its log (/readyz). Do not restart it because of that: a restart does not
               mend a full disk
  --host       where the service listens (default: HOST, as for the service, or else 127.0.0.1)
  --port       its port (default: PORT, or else 7070)

Examples:
  HEALTHCHECK CMD ["tidings", "healthcheck"]
  tidings healthcheck --ready --port 8080
`;
}

/** Asks the service. @throws {StartError} if it is not well */
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

/** Gets a URL. Not by `fetch`, which refuses some ports that a service may have. */
async function answerOf(url: string): Promise<{ status: number | undefined; text: string }> {
  const request = get(url, { signal: AbortSignal.timeout(ANSWER_MILLISECONDS) });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += String(part);
  return { status: response.statusCode, text };
}
