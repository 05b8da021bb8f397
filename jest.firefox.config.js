/** The suites of the chat page that depend on the browser, run in Firefox: `npm run test:firefox`. */
import one from './jest.config.js';

/** The others are of the connection, or of what only Chromium tells of a page or lets a test do. */
const SUITES = 'chat chat-content chat-history chat-names chat-outages chat-places chat-search chat-seen';

/** @type {import('jest').Config} */
export default {
  ...one,
  testMatch: [`<rootDir>/__tests__/browser/@(${SUITES.replaceAll(' ', '|')}).test.ts`],
  setupFilesAfterEnv: ['<rootDir>/__tests__/support/on-firefox.ts'],
};
