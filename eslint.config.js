import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { layerRules } from './eslint.layers.js';

export default defineConfig(
  globalIgnores(['dist/', 'data/', 'coverage/', 'public/types/']),
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      // Contradicts no-non-null-assertion, which stays on.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // Express recognizes an error handler by its four parameters.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
    },
  },
  layerRules(),
  {
    // Suites use the support, and it uses none of them.
    files: ['__tests__/support/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^\\.\\./(browser|fuzz|integration|nodes|unit)/' }] },
      ],
    },
  },
  {
    // The configuration of this folder is elsewhere, because the folder is served as it is.
    files: ['public/**'],
    languageOptions: {
      parserOptions: { projectService: false, project: ['./tsconfig.public.json', './tsconfig.worker.json'] },
    },
  },
  {
    // These tests import files from public, which need the types of browsers.
    files: ['__tests__/*/client-*.test.ts', '__tests__/support/client-in-node.ts'],
    ignores: ['__tests__/browser/**'],
    languageOptions: { parserOptions: { projectService: false, project: ['./tsconfig.client-tests.json'] } },
  },
  {
    files: ['**/*.js'],
    // The compiler checks names: it knows where each file runs.
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off', 'no-undef': 'off' },
  },
);
