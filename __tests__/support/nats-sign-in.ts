/** The ways to sign in to a NATS server: for each, the configuration of the servers, and what a client needs. */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { CertificateAuthority, type KeyPairFiles } from './certificate.ts';
import type { NatsConfig } from './nats.ts';
import { newFolder } from './server.ts';

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** Only who knows a user's password may connect. */
export function userAndPassword(): { config: NatsConfig; user: string; password: string } {
  const [user, password] = ['tidings', randomBytes(16).toString('hex')];
  return { config: { authorization: { user, password } }, user, password };
}

/** Only who knows a token may connect. */
export function sharedToken(): { config: NatsConfig; token: string } {
  const token = randomBytes(16).toString('hex');
  return { config: { authorization: { token } }, token };
}

/** Only who has a key may connect. The server has its public half. */
export function publicKey(): { config: NatsConfig; seed: string; seedFile: string } {
  const pair = nkeys.createUser();
  const seed = textOf(pair.getSeed());
  const seedFile = join(newFolder(), 'user.nk');
  writeFileSync(seedFile, `${seed}\n`, { mode: 0o600 });
  return { config: { authorization: { users: [{ nkey: pair.getPublicKey() }] } }, seed, seedFile };
}

/**
 * Only users with a JSON Web Token of an account may connect: `credsFile` has the token and the key of one. The operator
 * signs the account and the account of the system, both of which the server has in its configuration.
 */
export function credentials(): { config: NatsConfig; credsFile: string } {
  const [operator, system, account] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
  ] as const;
  const user = nkeys.createUser();
  const credsFile = join(newFolder(), 'user.creds');
  const token = signed(user, account, { type: 'user', ...NO_LIMIT });
  writeFileSync(credsFile, credsOf(token, user), { mode: 0o600 });
  const config = {
    operator: signed(operator, operator, { type: 'operator', system_account: system.getPublicKey() }),
    system_account: system.getPublicKey(),
    resolver: 'MEMORY',
    resolver_preload: {
      [system.getPublicKey()]: signed(system, operator, { type: 'account', limits: ACCOUNT_LIMITS }),
      [account.getPublicKey()]: signed(account, operator, {
        type: 'account',
        limits: { ...ACCOUNT_LIMITS, ...STORAGE_LIMITS },
      }),
    },
  };
  return { config, credsFile };
}

/**
 * The servers speak TLS, with a certificate for loopback of an authority that no system knows.
 *
 * @param verify whether clients must show a certificate of the same authority
 */
export function overTls({ verify = false } = {}): {
  config: NatsConfig;
  authority: CertificateAuthority;
  client: KeyPairFiles;
} {
  const authority = new CertificateAuthority();
  const { certificate, key } = authority.sign('server');
  const tls = { cert_file: certificate, key_file: key, ca_file: authority.file, verify };
  return { config: { tls }, authority, client: authority.sign('client') };
}

const NO_LIMIT = { subs: -1, data: -1, payload: -1 };
const ACCOUNT_LIMITS = { ...NO_LIMIT, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
const STORAGE_LIMITS = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const encoded = (value: object | Uint8Array): string =>
  Buffer.from(value instanceof Uint8Array ? value : JSON.stringify(value)).toString('base64url');

/** Returns a token of NATS (version 2) about a key, signed by another. */
function signed(subject: KeyPair, issuer: KeyPair, claims: Readonly<Record<string, unknown>>): string {
  const about = {
    jti: randomUUID(),
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: claims['type'],
    nats: { ...claims, version: 2 },
  };
  const content = `${encoded({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encoded(about)}`;
  return `${content}.${encoded(issuer.sign(Buffer.from(content)))}`;
}

/** Returns a file of credentials, as the tools of NATS write it. */
function credsOf(token: string, user: KeyPair): string {
  return [
    '-----BEGIN NATS USER JWT-----',
    token,
    '------END NATS USER JWT------',
    '',
    '-----BEGIN USER NKEY SEED-----',
    textOf(user.getSeed()),
    '------END USER NKEY SEED------',
    '',
  ].join('\n');
}
