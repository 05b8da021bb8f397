/** The suites of the chat page that depend on the browser, run in Firefox: `npm run test:firefox`. */
import one from './jest.config.js';

/** The other suites test the connection, or need facts or controls that only Chromium offers. */
export const SUITES =
  'chat chat-content chat-history chat-names chat-outages chat-places chat-search chat-seen';

/** @type {import('jest').Config} */
export default {
  ...one,
  testMatch: [`<rootDir>/__tests__/browser/@(${SUITES.replaceAll(' ', '|')}).test.ts`],
  setupFilesAfterEnv: ['<rootDir>/__tests__/support/on-firefox.ts'],
};
