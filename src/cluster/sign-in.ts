import type { Authenticator } from '@nats-io/transport-node';
import type * as Nats from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { NatsSignIn, Secret } from '../config/nats.ts';
import { RotatingFile } from './rotating-file.ts';

/** A block of a credentials file as written by `nsc`: a text between two lines that begin and end with dashes. */
const BLOCK = /-{3,}[^\n]*-{3,}\r?\n\s*([\w\-.=]+)\s*\r?\n\s*-{3,}[^\n]*-{3,}/g;

/** The seed of a user, in base32, on a line of its own. */
const USER_SEED = /^\s*(SU[A-Z2-7]{56})\s*$/m;

/**
 * Returns the function that signs in to NATS. Files are read now, and again for each connection.
 *
 * @param signIn `undefined` to connect without credentials
 * @returns a function that never throws, since the client would then close for good
 * @throws {StartError} if a file cannot be read or is malformed
 */
export function authenticatorOf(
  signIn: NatsSignIn | undefined,
  nats: typeof Nats,
  logger: Logger,
): Authenticator {
  if (signIn === undefined) return () => undefined;
  if ('user' in signIn) {
    const password = secretOf('NATS_PASSWORD_FILE', signIn.password, logger);
    return nats.usernamePasswordAuthenticator(signIn.user, password);
  }
  if ('token' in signIn) return nats.tokenAuthenticator(secretOf('NATS_TOKEN_FILE', signIn.token, logger));
  const { variable, file: path } = signIn;
  const keyOf = (text: string): Uint8Array => seedIn(text, nats);
  if (variable === 'NATS_NKEY') {
    const file = RotatingFile.open({ variable, path, parse: keyOf }, logger);
    return nats.nkeyAuthenticator(() => file.latest());
  }
  const parse = (text: string): { jwt: string; seed: Uint8Array } => ({
    jwt: jwtIn(text),
    seed: keyOf(text),
  });
  const file = RotatingFile.open({ variable, path, parse }, logger);
  return (nonce) => {
    const { jwt, seed } = file.latest();
    return nats.jwtAuthenticator(jwt, seed)(nonce);
  };
}

function secretOf(variable: string, secret: Secret, logger: Logger): () => string {
  if ('text' in secret) return () => secret.text;
  const file = RotatingFile.open({ variable, path: secret.file, parse: lineIn }, logger);
  return () => file.latest();
}

/** Returns the only line of a file. @throws {Error} if it is not one line of text */
function lineIn(text: string): string {
  const line = text.replace(/\r?\n$/, '');
  if (line === '') throw new Error('that must not be empty');
  if (/[\p{Cc}\uFEFF]/u.test(line))
    throw new Error('that must have one line of text, without control characters');
  if (line !== line.trim()) throw new Error('whose line must not begin or end with white space');
  return line;
}

function jwtIn(text: string): string {
  const jwt = [...text.matchAll(BLOCK)]
    .map(([, content = '']) => content)
    .find((one) => one.startsWith('eyJ'));
  if (jwt !== undefined) return jwt;
  throw new Error('that must have a JWT and a seed, each between two lines with dashes, as nsc writes it');
}

function seedIn(text: string, { nkeys }: typeof Nats): Uint8Array {
  const [, seed] = USER_SEED.exec(text) ?? [];
  if (seed === undefined) throw new Error('that must have the seed of a user: a line of 58 characters, SU…');
  const bytes = new TextEncoder().encode(seed);
  try {
    nkeys.fromSeed(bytes);
    return bytes;
  } catch {
    throw new Error('whose seed must be complete: its checksum is wrong');
  }
}
