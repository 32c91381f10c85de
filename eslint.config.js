// Correctness only: promises, the import table, determinism, and tests that test. Prettier owns the looks.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import { importTable } from './lint/import-table.js';
import { clockAndChance, noDefaultExport, realTests, workflowGlobals } from './lint/restrictions.js';

const ignored = [
  'dist/**',
  'coverage/**',
  'node_modules/**',
  'db/migrations/**',
  '**/.perennial*/**',
  'examples/**/data/**',
];

export default tseslint.config(
  { ignores: ignored },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  { rules: { 'no-control-regex': 'off', 'no-useless-assignment': 'off' } },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  {
    plugins: { perennial: { rules: { 'import-table': importTable } } },
    rules: { 'perennial/import-table': 'error', 'no-restricted-syntax': ['error', noDefaultExport] },
  },
  { files: ['*.config.{js,ts}'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['domain/**', 'stats/**'],
    rules: {
      'no-restricted-syntax': ['error', noDefaultExport, ...clockAndChance],
      'no-restricted-globals': ['error', ...workflowGlobals, 'setTimeout', 'setInterval', 'performance'],
    },
  },
  { files: ['workflows/**'], rules: { 'no-restricted-globals': ['error', ...workflowGlobals] } },
  {
    files: ['test/**'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'off',
      'no-restricted-syntax': ['error', noDefaultExport, ...realTests],
    },
  },
);
