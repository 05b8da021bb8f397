/** @type {import('jest').Config} */
export default {
  preset: 'ts-jest/presets/default-esm',
  testEnvironment: 'node',
  globalSetup: '<rootDir>/__tests__/support/bundled-program.js',
  globalTeardown: '<rootDir>/__tests__/support/remove-bundle.js',
  testMatch: ['<rootDir>/__tests__/{unit,integration,nodes,browser}/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  // For what hangs, and not for what is slow: a busy machine may take ten times as long as a quiet one.
  testTimeout: 240_000,
  // More than a machine of two processors has: most suites wait for most of their time.
  maxWorkers: 3,
  reporters: ['default', '<rootDir>/__tests__/support/suite-times.js'],
};
