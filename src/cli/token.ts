import { SignJWT } from 'jose';
import { identityOf } from '../auth/identity.ts';
import { readConfig, unknownVariables } from '../config/config.ts';
import { sentence } from '../sentence.ts';
import { StartError, UsageError } from '../start-error.ts';
import { readArguments } from './operands.ts';

/** Returns what `token --help` prints. */
export function help(): string {
  return `Usage: tidings token --sub ADDRESS [--flag value]...

Prints a token to try the service with. In a clone it is "npm run -s token -- --sub ADDRESS".

  --sub        the address of the client
  --send-as    an address that it may send as, or a prefix that ends in "*" (default: --sub)
  --send-to    an address that it may send to (default: none)
  --read       an address whose inbox it may read (default: --sub)
  --presence   an address whose presence it may see (default: the addresses of --read)
  --rate       the messages a second that it may publish
  --metrics    it may read /metrics and /cluster
  --expires    the lifetime of the token, such as 30s, 15m, 12h or 7d (default: 1h)

Repeat a flag to allow several addresses. The token is signed (HS256) with the secret of the service: AUTH_SECRET, or the
first secret in AUTH_SECRET_FILE. It gets AUTH_ISSUER and AUTH_AUDIENCE if they are set.

Examples:
  tidings token --sub alice --send-to bob
  tidings token --sub alice --send-to bob --send-to 'room-*' --expires 12h
  tidings token --sub prometheus --metrics --expires 365d
`;
}

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

function readDuration(text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) {
    throw new UsageError(
      `--expires must be a number followed by s, m, h or d, such as 15m, not "${text.slice(0, 100)}".`,
    );
  }
  return Number(count) * SECONDS[unit as keyof typeof SECONDS];
}

function parseFlags(args: readonly string[]) {
  const list = { type: 'string', multiple: true } as const;
  return readArguments(args, {
    command: 'token',
    flags: {
      sub: { type: 'string' },
      'send-as': list,
      'send-to': list,
      read: list,
      presence: list,
      rate: { type: 'string' },
      metrics: { type: 'boolean' },
      expires: { type: 'string', default: '1h' },
    },
  }).flags;
}

async function makeToken(flags: ReturnType<typeof parseFlags>): Promise<string> {
  const lifetime = readDuration(flags.expires);
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
    exp: now + lifetime,
    ...(grants.length === 0 ? {} : { tidings: Object.fromEntries(grants) as Record<string, unknown> }),
  };
  try {
    identityOf(claims);
  } catch (error) {
    throw new StartError(sentence(`The token would not be valid: ${(error as Error).message}`));
  }
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
}

/** Prints a token. @throws {StartError} if there is no secret, or the token would not be valid */
export async function run(args: readonly string[]): Promise<number> {
  process.stdout.write(`${await makeToken(parseFlags(args))}\n`);
  return 0;
}
