/** Tokens: good ones by jose, and ones that no library would make. */
import { constants, createHmac, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CompactSign, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { newFolder } from './server.ts';

/** The `AUTH_SECRET` of the services of tests. */
export const SECRET = 'a secret for tests, which is long enough';
export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'tidings-tests';

/** The permissions of a token. */
export interface Grants {
  readonly sendAs?: readonly string[];
  readonly sendTo?: readonly string[];
  readonly read?: readonly string[];
  readonly presence?: readonly string[];
  readonly rate?: number;
  readonly metrics?: true;
}

/** The time of tokens, `seconds` from now. */
export const secondsFromNow = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** The claims of a good token: ten minutes of life unless said otherwise. */
export function claimsOf(sub: string, grants?: Grants, more: JWTPayload = {}): JWTPayload {
  return {
    sub,
    exp: secondsFromNow(600),
    iss: ISSUER,
    aud: AUDIENCE,
    ...(grants === undefined ? {} : { tidings: grants }),
    ...more,
  };
}

/** A good token, signed with `SECRET`. */
export function tokenFor(sub: string, grants?: Grants, more: JWTPayload = {}): Promise<string> {
  return new SignJWT(claimsOf(sub, grants, more))
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(SECRET));
}

/** The header that carries a token. */
export const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });

/** The header that carries a token as a page's session does. */
export const cookie = (token: string): Record<string, string> => ({ Cookie: `tidings=${token}` });

/** A key pair, with the halves as a key set and as a forger would have them. */
export interface TestKey {
  readonly alg: string;
  readonly kid: string;
  readonly private: KeyObject;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
}

export async function newKey(alg: 'RS256' | 'ES256' | 'EdDSA' | 'ES384', kid: string): Promise<TestKey> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const privateJwk = { ...(await exportJWK(pair.privateKey)), kid, alg };
  return {
    alg,
    kid,
    private: createPrivateKey({ key: privateJwk as Record<string, unknown>, format: 'jwk' }),
    publicJwk: { ...(await exportJWK(pair.publicKey)), kid, alg },
    privateJwk,
  };
}

/** A token of a key of a set; `header` is added to `alg` and `kid`. */
export function tokenOf(key: TestKey, claims: object, header: object = {}): string {
  return rawToken({ alg: key.alg, kid: key.kid, ...header }, claims, key.private);
}

/** A key set as a file, in a folder of its own. */
export function jwksFile(...keys: readonly JWK[]): string {
  const file = join(newFolder(), 'jwks.json');
  writeFileSync(file, JSON.stringify({ keys }));
  return file;
}

/** A part of a token: of JSON, or of a text as it is. */
export function segment(value: object | string): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** The signature that an algorithm gives with a key that may not be meant for it. */
export function signature(alg: string, input: string, key: KeyObject | string | Uint8Array): string {
  const data = Buffer.from(input);
  const digest = `sha${alg.slice(2)}`;
  if (typeof key === 'string' || key instanceof Uint8Array) {
    return createHmac(digest, key).update(data).digest('base64url');
  }
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  switch (alg.slice(0, 2)) {
    case 'PS':
      return sign(digest, data, { key, padding, saltLength }).toString('base64url');
    case 'ES':
      return sign(digest, data, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    case 'Ed':
      return sign(null, data, key).toString('base64url');
    default:
      return sign(digest, data, key).toString('base64url');
  }
}

/** A token with any header and any payload, well signed by the algorithm that the header names. */
export function rawToken(
  header: { readonly alg: string } & Record<string, unknown>,
  payload: object | string,
  key: KeyObject | string | Uint8Array,
): string {
  const input = `${segment(header)}.${segment(payload)}`;
  return `${input}.${signature(header.alg, input, key)}`;
}

/** Returns a token with any claims; by default `exp` is an hour from now. */
export function signToken(claims: Readonly<Record<string, unknown>>, secret = SECRET): Promise<string> {
  return signText(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims }), secret);
}

/** A token whose payload is any text. */
export function signText(payload: string, secret = SECRET): Promise<string> {
  return new CompactSign(Buffer.from(payload))
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(secret));
}
