/** A headless browser with a new profile: Chromium, unless the suites run in another one. */
import { existsSync } from 'node:fs';
import { describe } from '@jest/globals';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const MISSING = `no Chromium at ${CHROMIUM}: apt-get install chromium, or set CHROMIUM to its path`;

/**
 * Chromium without its windows. A page takes a quarter of the CPU that it takes in the whole browser, but there are no
 * notifications, and the browser keeps no page that was left.
 */
const SHELL = '/usr/bin/chromium-headless-shell';

/** How to start a browser for tests that need nothing special of one. */
interface Launch {
  readonly start: () => Promise<Browser>;
  /** Why it cannot be started; `undefined` if it can. */
  readonly missing: string | undefined;
}
let other: Launch | undefined;

/** Makes suites run in another browser. */
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

/**
 * A `describe` that is skipped, with a line that says why, if there is no browser; with `CI=true` it fails.
 */
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

/**
 * Starts the browser that suites are run in: by default the shell of Chromium if it is there. The test must close it. A test of
 * notifications needs `launchChromium`.
 */
export function launchBrowser(): Promise<Browser> {
  if (other !== undefined) return other.start();
  if (!existsSync(SHELL)) return launchChromium();
  return chromium.launch({ executablePath: SHELL, args: ARGUMENTS });
}

/** Starts Chromium. The test must close it. @param more arguments */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  return chromium.launch({ executablePath: CHROMIUM, args: [...ARGUMENTS, ...more] });
}

/**
 * Starts a browser that keeps pages that were left, to show them again as they were. The test must close it.
 */
export async function launchBrowserWithPageCache(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  const ignoreDefaultArgs = ['--disable-back-forward-cache'];
  return chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS, ignoreDefaultArgs });
}

/**
 * Starts a browser for which other names are this machine too. The browser's own protection from pages of
 * such names is off, so that only the service's is left.
 */
export function launchBrowserKnowing(names: readonly string[]): Promise<Browser> {
  return launchChromium([
    `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`).join(',')}`,
    '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades',
  ]);
}

/** Starts a browser with the profile in a folder, as a person has one. The test must close it. */
export async function launchWithProfile(folder: string): Promise<BrowserContext> {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  return chromium.launchPersistentContext(folder, { executablePath: CHROMIUM, args: ARGUMENTS });
}
