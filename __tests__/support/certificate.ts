/** Certificates: self-signed ones, and those of an authority. */
import { execFileSync } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newFolder } from './server.ts';

export interface Certificate {
  /** The file of the certificate, for `NODE_EXTRA_CA_CERTS`. */
  readonly file: string;
  readonly pem: string;
}

/** The names of a certificate for loopback, in the form of openssl. */
const LOOPBACK = ['IP:127.0.0.1', 'DNS:localhost'];

/**
 * Makes a certificate of a key, by default for loopback.
 *
 * @param names in the form of openssl: `DNS:push.example.org`
 */
export function selfSigned(key: KeyObject, names: readonly string[] = LOOPBACK): Certificate {
  const folder = newFolder();
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  writeFileSync(keyFile, key.export({ type: 'pkcs8', format: 'pem' }));
  const options = ['-x509', '-new', '-key', keyFile, '-out', file, '-days', '2', '-subj', '/CN=tests'];
  execFileSync('openssl', ['req', ...options, '-addext', `subjectAltName=${names.join(',')}`], {
    stdio: 'pipe',
  });
  return { file, pem: readFileSync(file, 'utf8') };
}

/** The files of a certificate and its key. */
export interface KeyPairFiles {
  readonly certificate: string;
  readonly key: string;
}

/** An authority, which signs certificates. */
export class CertificateAuthority {
  /** The file of its own certificate. */
  readonly file: string;
  readonly #key: string;
  readonly #folder = newFolder();

  constructor() {
    this.file = join(this.#folder, 'authority.pem');
    this.#key = join(this.#folder, 'authority-key.pem');
    this.#make('authority', this.file, this.#key, ['basicConstraints=critical,CA:TRUE']);
  }

  /**
   * Signs a certificate with a key of its own, by default for loopback.
   *
   * @param subject the name of its owner
   */
  sign(subject: string, names: readonly string[] = LOOPBACK): KeyPairFiles {
    const [certificate, key] = ['certificate', 'key'].map((kind) =>
      join(this.#folder, `${subject}-${kind}.pem`),
    ) as [string, string];
    const extensions = [`subjectAltName=${names.join(',')}`, 'extendedKeyUsage=serverAuth,clientAuth'];
    this.#make(subject, certificate, key, extensions, ['-CA', this.file, '-CAkey', this.#key]);
    return { certificate, key };
  }

  #make(
    subject: string,
    certificate: string,
    key: string,
    extensions: readonly string[],
    signer: readonly string[] = [],
  ): void {
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
    const content = ['-days', '2', '-subj', `/CN=${subject}`, '-out', certificate];
    const more = extensions.flatMap((extension) => ['-addext', extension]);
    execFileSync('openssl', ['req', '-x509', ...newKey, ...signer, ...content, ...more], { stdio: 'pipe' });
  }
}
