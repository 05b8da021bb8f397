import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Returns the version of Tidings from its package.json; `unknown` if that cannot be read. */
export function tidingsVersion(): string {
  try {
    const text = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}
