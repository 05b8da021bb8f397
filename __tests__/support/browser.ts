/** A headless browser with a new profile: Chromium, unless the suites run in another one. */
import { existsSync } from 'node:fs';
import { describe } from '@jest/globals';
import { type Browser, type BrowserContext, chromium, type LaunchOptions } from 'playwright-core';

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

/**
 * Features that are off in the whole browser. The first two are pages of its address bar, which it loads for each window: they
 * take a third of its CPU. The others are the ones of Playwright that tests notice; its own list does not count beside this one.
 */
const FEATURES_OFF = [
  'WebUIOmniboxPopup',
  'WebUIOmniboxAimPopup',
  'DestroyProfileOnBrowserClose',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'MediaRouter',
  'OptimizationHints',
  'PaintHolding',
  'ThirdPartyStoragePartitioning',
];

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
 *
 * @param more arguments for Chromium
 */
export function launchBrowser(more: readonly string[] = []): Promise<Browser> {
  if (other !== undefined) return other.start();
  if (!existsSync(SHELL)) return launchChromium(more);
  return chromium.launch({ executablePath: SHELL, args: [...ARGUMENTS, ...more] });
}

/** Returns how the whole browser is started. @throws {Error} if it is not installed */
function wholeBrowser(more: readonly string[] = []): LaunchOptions {
  if (!existsSync(CHROMIUM)) throw new Error(MISSING);
  const features = `--disable-features=${FEATURES_OFF.join()}`;
  return { executablePath: CHROMIUM, args: [...ARGUMENTS, features, ...more] };
}

/** Starts Chromium. The test must close it. @param more arguments */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  return chromium.launch(wholeBrowser(more));
}

/** Runs the part of a test that needs the whole of Chromium, such as notifications. @param more arguments */
export async function inWholeBrowser(
  run: (browser: Browser) => Promise<void>,
  more: readonly string[] = [],
): Promise<void> {
  const browser = await launchChromium(more);
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

/**
 * Starts a browser that keeps pages that were left, to show them again as they were. The test must close it.
 */
export async function launchBrowserWithPageCache(): Promise<Browser> {
  return chromium.launch({ ...wholeBrowser(), ignoreDefaultArgs: ['--disable-back-forward-cache'] });
}

/**
 * Returns the arguments of a browser for which other names are this machine too. The browser's own protection from pages of
 * such names is off, so that only the service's is left.
 */
export function knowing(names: readonly string[]): string[] {
  const rules = names.map((name) => `MAP ${name} 127.0.0.1`).join();
  const protection = ['LocalNetworkAccessChecks', 'BlockInsecurePrivateNetworkRequests'];
  const features = [...FEATURES_OFF, ...protection].join();
  return [`--host-resolver-rules=${rules}`, `--disable-features=${features}`];
}

/** Starts a browser with the profile in a folder, as a person has one. The test must close it. */
export async function launchWithProfile(folder: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(folder, wholeBrowser());
}
