/** Tests carry their cost in their name: `.test.ts` needs no process, `.local.test.ts` starts the real parts. */
export default {
  testEnvironment: 'node',
  reporters: ['default', './test/left-open.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2024', parser: { syntax: 'typescript' }, experimental: { keepImportAttributes: true } },
        module: { type: 'es6' },
      },
    ],
  },
  testPathIgnorePatterns: ['/node_modules/', '/\\.parley/'],
  modulePathIgnorePatterns: ['/\\.parley/'],
  watchPathIgnorePatterns: ['/\\.parley/'],
}
