import { createPrivateKey, X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { Logger } from 'pino';
import type { NatsConfig } from '../config/nats.ts';
import { StartError } from '../start-error.ts';
import { RotatingFile } from './rotating-file.ts';

/** The options of a TLS connection. Each access to a property reads its file again. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly checkServerIdentity: (name: string, certificate: PeerCertificate) => Error | undefined;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Returns the options for TLS, with the contents of the files. The client of NATS must not read the files itself: a
 * connection error in the meantime would end the process.
 *
 * @returns `undefined` if connections need no TLS
 * @throws {StartError} if a file cannot be read or is malformed, or the key does not belong to the certificate
 */
export function tlsOf({ tls, servers }: NatsConfig, logger: Logger): TlsFiles | undefined {
  if (tls === undefined) return undefined;
  const open = (variable: string, path: string | undefined, parse: (text: string) => string) =>
    path === undefined ? undefined : RotatingFile.open({ variable, path, parse }, logger);
  const cert = open('NATS_CERT', tls.cert, certificatesIn);
  const key = open('NATS_KEY', tls.key, keyIn);
  const files = { ca: open('NATS_CA', tls.ca, certificatesIn), cert, key };
  if (cert !== undefined && key !== undefined) checkPair(cert.latest(), key.latest());
  const hosts = servers.map(({ host }) => host);
  const options: TlsFiles = {
    checkServerIdentity: (_name, certificate) => identityFault(hosts, certificate),
  };
  for (const [name, file] of Object.entries(files)) {
    if (file !== undefined)
      Object.defineProperty(options, name, { enumerable: true, get: () => file.latest() });
  }
  return options;
}

/**
 * Checks that a certificate is for one of the hosts of `NATS_URL`. If a server is known only by its IP address, whether
 * from `NATS_URL` or from another server, the client of NATS passes no name, and Node would look for "localhost" in the
 * certificate.
 */
function identityFault(hosts: readonly string[], certificate: PeerCertificate): Error | undefined {
  const faults = hosts.map((host) => checkServerIdentity(host, certificate));
  return faults.includes(undefined) ? undefined : faults[0];
}

function certificatesIn(text: string): string {
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw new Error('that must have a certificate in PEM');
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (error) {
      const why = (error as Error).message;
      throw new Error(`whose certificate ${index + 1} cannot be read (${why})`, { cause: error });
    }
  }
  return text;
}

function keyIn(text: string): string {
  try {
    createPrivateKey(text);
    return text;
  } catch (error) {
    throw new Error('that must have a private key in PEM, without a passphrase', { cause: error });
  }
}

function checkPair(cert: string, key: string): void {
  if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
  throw new StartError(
    'NATS_KEY must be the key of the certificate in NATS_CERT: it belongs to a different one.',
  );
}
