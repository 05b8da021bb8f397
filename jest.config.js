/** @type {import('jest').Config} */
export default {
  preset: 'ts-jest/presets/default-esm',
  testEnvironment: 'node',
  globalSetup: '<rootDir>/__tests__/support/bundled-program.js',
  globalTeardown: '<rootDir>/__tests__/support/remove-bundle.js',
  testMatch: ['<rootDir>/__tests__/{unit,integration,fuzz,nodes,browser}/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  // This ends tests that hang, not slow ones: a busy machine may take ten times as long as a quiet one.
  testTimeout: 240_000,
  // This is more than a machine with two processors has, because most suites spend most of their time waiting.
  maxWorkers: 3,
  reporters: ['default', '<rootDir>/__tests__/support/suite-times.js'],
};
