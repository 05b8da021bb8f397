/**
 * Makes the suites of the page run in Firefox, by the same commands as in Chromium: Playwright drives it by
 * WebDriver BiDi. The page is loaded as it is shipped, module by module. `jest.firefox.config.js` loads this file into
 * each suite.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, firefox } from 'playwright-core';
import { launchBrowsersWith } from './browser.ts';
import { ServerProcess, startServersWith } from './server.ts';

const FIREFOX = process.env['FIREFOX'] ?? '/usr/bin/firefox-esr';
const RELAY = fileURLToPath(new URL('firefox-relay.js', import.meta.url));

/**
 * Starts Firefox. Only one of its windows has the focus at a time, as on a person's screen. In the tests each
 * window is another person's, and has the focus, as in Chromium under Playwright.
 */
async function start(): Promise<Browser> {
  const browser = await firefox.launch({ channel: 'moz-firefox', executablePath: RELAY });
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await newContext(options);
    await context.addInitScript('document.hasFocus = () => true');
    return context;
  };
  return browser;
}

launchBrowsersWith({
  missing: existsSync(FIREFOX)
    ? undefined
    : `no Firefox at ${FIREFOX}: apt-get install firefox-esr, or set FIREFOX to its path`,
  start,
});

startServersWith((options) => ServerProcess.start({ ...options, isShipped: true }));
