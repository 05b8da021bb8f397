import type { AddressSet } from '../auth/address-set.ts';
import { badFields, type FieldError, type Refusal } from '../errors.ts';

/** For a token that is good and does not allow what was asked (RFC 6750 §3.1). */
export const INSUFFICIENT_SCOPE = {
  'WWW-Authenticate': 'Bearer realm="tidings", error="insufficient_scope"',
};

/**
 * Makes sure that a token allows all of several addresses.
 *
 * @param parameter where they were given
 * @param grant the list of the token that would have to name them
 * @throws {Refusal} 403; it looks the same whether there is something at an address or not
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

/** The end of a sentence that begins with the field in which an address stands. */
export function notNamed(grant: string): string {
  return `is not an address that the token's "${grant}" names`;
}

/** Returns the refusal of what a token does not allow. @param errors at least one */
export function forbidden(errors: readonly FieldError[]): Refusal {
  return badFields(errors, 'forbidden', INSUFFICIENT_SCOPE);
}
