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

/** A certificate of a key, for loopback. */
export function selfSigned(key: KeyObject): Certificate {
  const folder = newFolder();
  const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  writeFileSync(keyFile, key.export({ type: 'pkcs8', format: 'pem' }));
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost';
  const options = ['-x509', '-new', '-key', keyFile, '-out', file, '-days', '2', '-subj', '/CN=localhost'];
  execFileSync('openssl', ['req', ...options, '-addext', names], { stdio: 'pipe' });
  return { file, pem: readFileSync(file, 'utf8') };
}
