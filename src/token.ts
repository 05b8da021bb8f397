/** Prints a token to try the service with, signed with `AUTH_SECRET` (HS256): `npm run -s token -- --sub alice`. */
import { parseArgs } from 'node:util';
import { SignJWT } from 'jose';
import { identityOf } from './auth/identity.ts';
import { readConfig, unknownVariables } from './config/config.ts';
import { flagFault } from './flag-fault.ts';
import { sentence } from './sentence.ts';
import { StartError } from './start-error.ts';

const USAGE = `Usage: npm run -s token -- --sub ADDRESS [--flag value]...

  --sub        the address of the client
  --send-as    an address that it may send as, or a prefix that ends in "*" (default: --sub)
  --send-to    an address that it may send to (default: none)
  --read       an address whose inbox it may read (default: --sub)
  --presence   an address whose presence it may see (default: as --read)
  --rate       messages a second
  --metrics    it may read /metrics
  --expires    its lifetime, as 30s, 15m, 12h or 7d (default: 1h)

Repeat a flag to allow several addresses. The token is signed with the secret in AUTH_SECRET, or the first one in
AUTH_SECRET_FILE, as for the service. It gets AUTH_ISSUER and AUTH_AUDIENCE if they are set.
`;

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

function readDuration(text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) {
    throw new StartError(
      `--expires must be a number and s, m, h or d, such as 15m, not "${text.slice(0, 100)}".`,
    );
  }
  return Number(count) * SECONDS[unit as keyof typeof SECONDS];
}

function readFlags(args: readonly string[]): ReturnType<typeof parseFlags> {
  try {
    return parseFlags(args);
  } catch (error) {
    throw new StartError(`${flagFault(error)} --help lists the flags.`);
  }
}

function parseFlags(args: readonly string[]) {
  const list = { type: 'string', multiple: true } as const;
  return parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', default: false },
      sub: { type: 'string' },
      'send-as': list,
      'send-to': list,
      read: list,
      presence: list,
      rate: { type: 'string' },
      metrics: { type: 'boolean' },
      expires: { type: 'string', default: '1h' },
    },
  }).values;
}

async function makeToken(flags: ReturnType<typeof parseFlags>): Promise<string> {
  const { auth } = readConfig(process.env, [], Infinity);
  const [secret] = auth?.secrets?.list ?? [];
  if (auth === undefined || secret === undefined) {
    const meant = unknownVariables(process.env).find(({ nearest }) => nearest.startsWith('AUTH_SECRET'));
    throw new StartError(
      `AUTH_SECRET is not set${meant === undefined ? '' : `, but ${meant.name} is`}. Set it to the secret of the service.`,
    );
  }
  const grants = Object.entries({
    sendAs: flags['send-as'],
    sendTo: flags['send-to'],
    read: flags.read,
    presence: flags.presence,
    rate: flags.rate === undefined ? undefined : Number(flags.rate),
    metrics: flags.metrics,
  }).filter(([, value]) => value !== undefined);
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    sub: flags.sub ?? '',
    ...(auth.issuer === undefined ? {} : { iss: auth.issuer }),
    ...(auth.audience === undefined ? {} : { aud: auth.audience }),
    iat: now,
    exp: now + readDuration(flags.expires),
    ...(grants.length === 0 ? {} : { tidings: Object.fromEntries(grants) as Record<string, unknown> }),
  };
  try {
    identityOf(claims);
  } catch (error) {
    throw new StartError(sentence(`The token would not be valid: ${(error as Error).message}`));
  }
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
}

try {
  const flags = readFlags(process.argv.slice(2));
  process.stdout.write(flags.help ? USAGE : `${await makeToken(flags)}\n`);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  process.stderr.write(`token: ${error.message}\n`);
  process.exit(1);
}
