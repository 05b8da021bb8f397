/** A browser, headless, with a new profile: Chromium, unless the suites are run in another one. */
import { existsSync } from 'node:fs';
import { describe } from '@jest/globals';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const MISSING = `no Chromium at ${CHROMIUM}: apt-get install chromium, or set CHROMIUM to its path`;

/** How a browser is started whose tests need nothing that only one has. */
interface Launch {
  readonly start: () => Promise<Browser>;
  /** Why it cannot be started; `undefined`: it can. */
  readonly missing: string | undefined;
}
let other: Launch | undefined;

/** Has suites run in another browser. */
export function launchBrowsersWith(launch: Launch): void {
  other = launch;
}

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

/** A `describe` that is skipped, with a line that says why, if there is no browser; with `CI=true` it fails. */
export function describeInBrowser(name: string, tests: () => void): void {
  const missing = other === undefined ? missingChromium() : other.missing;
  if (missing === undefined || process.env['CI'] === 'true') {
    describe(name, tests);
  } else {
    process.stderr.write(`skipped, "${name}": ${missing}\n`);
    describe.skip(name, tests);
  }
}

function missingChromium(): string | undefined {
  return existsSync(CHROMIUM) ? undefined : MISSING;
}

/** Starts the browser that suites are run in; to be closed by the test. */
export function launchBrowser(): Promise<Browser> {
  return other?.start() ?? launchChromium();
}

/** Starts Chromium; to be closed by the test. @param more arguments */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  return chromium.launch({ executablePath: CHROMIUM, args: [...ARGUMENTS, ...more] });
}

/** Starts a browser that keeps pages that were left, to show them again as they were; to be closed by the test. */
export async function launchBrowserWithPageCache(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  const ignoreDefaultArgs = ['--disable-back-forward-cache'];
  return chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS, ignoreDefaultArgs });
}

/**
 * Starts a browser for which other names are this machine too. What keeps their pages from it otherwise, and is the
 * browser's own, is off: what is left is the service's.
 */
export function launchBrowserKnowing(names: readonly string[]): Promise<Browser> {
  return launchChromium([
    `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`).join(',')}`,
    '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades',
  ]);
}

/** Starts a browser with the profile in a folder, as a person has one; to be closed by the test. */
export async function launchWithProfile(folder: string): Promise<BrowserContext> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  return chromium.launchPersistentContext(folder, { executablePath: CHROMIUM, args: ARGUMENTS });
}
