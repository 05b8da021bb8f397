import type { AddressSet } from '../auth/address-set.ts';
import { type FieldError, Refusal } from '../errors.ts';

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

/** The end of the sentence "sender …". */
export function notNamed(grant: string): string {
  return `is not among the addresses of the token's "${grant}"`;
}

/** The refusal of what a token does not allow. @param errors at least one */
export function forbidden(errors: readonly FieldError[]): Refusal {
  const [first] = errors;
  return new Refusal('forbidden', `${first?.path ?? ''} ${first?.message ?? ''}`.trim(), {
    errors: errors.slice(0, 100),
    headers: { 'WWW-Authenticate': 'Bearer realm="tidings", error="insufficient_scope"' },
  });
}
