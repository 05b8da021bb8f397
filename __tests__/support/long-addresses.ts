/** The longest addresses that the rules allow: 128 code points of four bytes each, so 1,536 characters in a URL. */
export const LONGEST = Array.from({ length: 200 }, (_, index) =>
  String.fromCodePoint(0x2_0000 + index).repeat(128),
);

/** A query with addresses of a parameter, in the order in which they are given. */
export function queryOf(name: string, addresses: readonly string[]): string {
  return addresses.map((address) => `${name}=${encodeURIComponent(address)}`).join('&');
}

/** A query with as many addresses as a stream takes, all as long as they may be: some 302 KiB. */
export const LONGEST_QUERY = `${queryOf('recipient', LONGEST.slice(0, 100))}&${queryOf('presence', LONGEST.slice(100))}`;
