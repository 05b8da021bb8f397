import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The part of IPv6 that IANA has allocated; the rest is private, local, or maps to other addresses. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');

/**
 * Returns whether an IP address belongs to the public Internet: not to this machine or its networks, not to
 * documentation or tests, and not to a mapping of other addresses (IPv4 in IPv6, NAT64, 6to4, Teredo).
 */
export function isPublic(address: string): boolean {
  if (isIP(address) === 0) return false;
  const ip = ipaddr.parse(address);
  return ip.range() === 'unicast' && (ip.kind() === 'ipv4' || ip.match(GLOBAL_UNICAST));
}

/**
 * Resolves a host name to its public addresses. This happens when a connection is made: after an earlier check, the name
 * could resolve to another address. `net` does not call it for a host that is an address itself.
 */
export const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    const addresses = error === null ? found.filter(({ address }) => isPublic(address)) : [];
    const [first] = addresses;
    if (error !== null) callback(error, '');
    else if (first === undefined) callback(new Error('the name has no public address'), '');
    else if (options.all === true) callback(null, addresses satisfies LookupAddress[]);
    else callback(null, first.address, first.family);
  });
};
