/** The suites of the chat page that depend on the browser, run in Firefox: `npm run test:firefox`. */
import one from './jest.config.js';

/** The other suites test the connection, or need facts or controls that only Chromium offers. */
const SUITES = 'chat chat-content chat-history chat-names chat-outages chat-places chat-search chat-seen';

/** The suites that CI runs: what people write and read, and how it is shown. */
const IN_CI = 'chat chat-content';

const chosen = process.env['CI'] === 'true' ? IN_CI : SUITES;

/** @type {import('jest').Config} */
export default {
  ...one,
  testMatch: [`<rootDir>/__tests__/browser/@(${chosen.replaceAll(' ', '|')}).test.ts`],
  setupFilesAfterEnv: ['<rootDir>/__tests__/support/on-firefox.ts'],
};
