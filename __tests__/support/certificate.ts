/** Certificates that vouch for themselves. */
import { execFileSync } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newFolder } from './server.ts';

export interface Certificate {
  /** In a file, as `NODE_EXTRA_CA_CERTS` wants it. */
  readonly file: string;
  readonly pem: string;
}

/** A certificate of a key, by default for loopback. @param names as openssl has them: `DNS:push.example.org` */
export function selfSigned(
  key: KeyObject,
  names: readonly string[] = ['IP:127.0.0.1', 'DNS:localhost'],
): Certificate {
  const folder = newFolder();
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  writeFileSync(keyFile, key.export({ type: 'pkcs8', format: 'pem' }));
  const options = ['-x509', '-new', '-key', keyFile, '-out', file, '-days', '2', '-subj', '/CN=tests'];
  execFileSync('openssl', ['req', ...options, '-addext', `subjectAltName=${names.join(',')}`], {
    stdio: 'pipe',
  });
  return { file, pem: readFileSync(file, 'utf8') };
}
