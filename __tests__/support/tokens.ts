/** Tokens as an application makes them, and as it should not. */
import { CompactSign } from 'jose';

/** For `AUTH_SECRET`. */
export const SECRET = 'the secret of a test: 32 bytes or more';

/** Claims of a token; `exp` is an hour from now where it is left out. */
export type Claims = Readonly<Record<string, unknown>>;

/** A token with these claims, signed with the secret. */
export function signToken(claims: Claims, secret = SECRET): Promise<string> {
  return signText(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims }), secret);
}

/** A token whose payload is any text. */
export function signText(payload: string, secret = SECRET): Promise<string> {
  return new CompactSign(Buffer.from(payload))
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(secret));
}
