import type { AddressSet } from './address-set.ts';
import { badFields, type FieldError, Refusal } from '../errors.ts';
import type { Identity } from './identity.ts';

/** The headers of a refusal if a valid token does not allow the request (RFC 6750 §3.1). */
const INSUFFICIENT_SCOPE = {
  'WWW-Authenticate': 'Bearer realm="tidings", error="insufficient_scope"',
};

/**
 * Checks that a token allows all of several addresses.
 *
 * @param parameter the parameter with the addresses
 * @param grant the list of the token that must allow them
 * @throws {Refusal} 403; it looks the same whether an address is in use or not
 */
export function requireAll(
  allowed: AddressSet,
  addresses: readonly string[],
  parameter: string,
  grant: string,
): void {
  const refused = addresses.filter((address) => !allowed.has(address));
  if (refused.length > 0)
    throw forbidden(refused.map(() => ({ path: `/${parameter}`, message: notNamed(grant) })));
}

/**
 * Checks that a token has the grant `metrics`.
 *
 * @param what the beginning of a sentence, such as "The metrics need"
 * @throws {Refusal} 403
 */
export function requireMetrics({ metrics }: Pick<Identity, 'metrics'>, what: string): void {
  if (metrics) return;
  throw new Refusal('forbidden', `${what} a token with "metrics": true.`, { headers: INSUFFICIENT_SCOPE });
}

/** Returns the end of a sentence that begins with the field of an address. */
export function notNamed(grant: string): string {
  return `is not an address that the token's "${grant}" allows`;
}

/**
 * Returns the refusal of a request that a token does not allow.
 *
 * @param errors at least one
 */
export function forbidden(errors: readonly FieldError[]): Refusal {
  return badFields(errors, 'forbidden', INSUFFICIENT_SCOPE);
}
