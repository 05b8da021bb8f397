import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** All that IANA has given out of IPv6; the rest is private, local, or maps to other addresses. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');

/**
 * Whether an IP address is one of the public Internet: not of this machine or its networks, not for documentation or
 * tests, and not one that only stands for another (IPv4 in IPv6, NAT64, 6to4, Teredo).
 */
export function isPublic(address: string): boolean {
  if (isIP(address) === 0) return false;
  const ip = ipaddr.parse(address);
  return ip.range() === 'unicast' && (ip.kind() === 'ipv4' || ip.match(GLOBAL_UNICAST));
}

/**
 * Looks a host name up as a connection is made, and gives it only what is public: between a check and the connection a
 * name could come to mean another address. Not asked by `net` for a host that is an address itself.
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
