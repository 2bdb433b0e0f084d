import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import { importDirectionConfigs } from './tools/lint/src/import-directions.js';
import { noChainedTensorMethods } from './tools/lint/src/no-chained-tensor-methods.js';

/** Sources of packages: what users get. */
const SOURCES = ['packages/*/src/**/*.ts'];

/** Bans in sources that need no types. */
const BANNED_SYNTAX = [
  {
    selector: 'MemberExpression[object.name="tf"][property.name=/^(rand|truncatedNormal|multinomial|dropout$)/]',
    message: 'Take a seed or an Rng of @selfsup/core.',
  },
  { selector: 'MemberExpression[object.name="tf"][property.name="einsum"]', message: 'tf.einsum has no gradient.' },
];

export default tseslint.config(
  {
    ignores: [
      '**/dist/',
      '**/node_modules/',
      '**/.turbo/',
      '**/.examples/',
      '**/runs/',
      'fixtures/',
      'packages/*/assembly/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  // Constants are written with all digits their source gives.
  { rules: { 'no-loss-of-precision': 'off' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    rules: {
      // TypeScript finds these itself.
      'no-undef': 'off',
      '@typescript-eslint/no-unused-vars': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    },
  },
  {
    files: ['packages/*/{src,test}/**/*.ts', 'tools/*/{src,test}/**/*.ts', 'examples/*/{src,test}/**/*.ts'],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
    },
  },
  {
    files: SOURCES,
    plugins: { selfsup: { rules: { 'no-chained-tensor-methods': noChainedTensorMethods } } },
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Take a seed or an Rng of @selfsup/core.' },
      ],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      'selfsup/no-chained-tensor-methods': 'error',
    },
  },
  { files: ['packages/selfsup/src/**/*.ts'], rules: { 'no-console': 'off' } },
  ...importDirectionConfigs(BANNED_SYNTAX),
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: {
        console: 'readonly',
        process: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        performance: 'readonly',
        setTimeout: 'readonly',
        WebAssembly: 'readonly',
      },
    },
  },
);
