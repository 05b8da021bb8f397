/** Chromium, headless, with a new profile. */
import { existsSync } from 'node:fs';
import { describe } from '@jest/globals';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const MISSING = `no Chromium at ${CHROMIUM}: apt-get install chromium, or set CHROMIUM to where it is`;
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A `describe` that is skipped, with a line that says why, where there is no Chromium; with `CI=true` it fails. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (existsSync(CHROMIUM) || process.env['CI'] === 'true') {
    describe(name, tests);
  } else {
    process.stderr.write(`skipped, "${name}": ${MISSING}\n`);
    describe.skip(name, tests);
  }
}

/** Starts a browser; to be closed by the test. @param more arguments of Chromium */
export async function launchBrowser(more: readonly string[] = []): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  return chromium.launch({ executablePath: CHROMIUM, args: [...ARGUMENTS, ...more] });
}

/**
 * Starts a browser for which other names are this machine too. What keeps their pages from it otherwise, and is the
 * browser's own, is off: what is left is the service's.
 */
export function launchBrowserKnowing(names: readonly string[]): Promise<Browser> {
  return launchBrowser([
    `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`).join(',')}`,
    '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades',
  ]);
}

/** Starts a browser with the profile in a folder, as a person has one; to be closed by the test. */
export async function launchWithProfile(folder: string): Promise<BrowserContext> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  return chromium.launchPersistentContext(folder, { executablePath: CHROMIUM, args: ARGUMENTS });
}
