import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { graphqlEngine } from '#kit/graphql/engine.ts'
import { graphqlLimitsDefault } from '#kit/graphql/limits.ts'
import { documentIdOf, knownOperations } from '#kit/graphql/operations.ts'
import { graphqlSchema } from '#kit/graphql/schema.ts'
import { operations } from './operations.ts'
import { resolvers } from './resolvers.ts'
import { schema } from './schema.ts'

const folder = join(import.meta.dirname, 'operations')
const manifest = join(import.meta.dirname, 'operations.ts')
const files = readdirSync(folder).sort()
const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim())

test('the list of known operations is what is in the folder (otherwise: UPDATE_GOLDEN=1)', () => {
  const entries = texts.map((text) => `  // ${documentIdOf(text)}\n  \`${text.replaceAll('\n', '\n')}\`,\n`)
  const source = `/** What the front end asks, made from \`operations/\` by its test. Above each is the \`documentId\` that clients send. */\nexport const operations: readonly string[] = [\n${entries.join('')}]\n`
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(manifest, source)
  expect(readFileSync(manifest, 'utf8')).toBe(source)
  expect(operations).toEqual(texts)
})

test.each(files.map((file, index) => [file, texts[index] ?? '']))(
  '%s fits the schema and the limits',
  (_file, query) => {
    const prepare = graphqlEngine(
      graphqlSchema(schema, resolvers),
      knownOperations(operations, false),
      graphqlLimitsDefault,
      false,
    )
    const ids = Array.from({ length: 20 }, (_, index) => `${index}`)
    const operation = prepare({
      query: undefined,
      documentId: documentIdOf(query),
      operationName: undefined,
      variables: { id: 'o-1', ids },
    })
    expect(operation).toMatchObject({ listed: true, name: expect.stringMatching(/^[A-Z]/) })
  },
)
