import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseAllDocuments } from 'yaml'
import type { Manifest } from '#providers/manifest.ts'
import { toYaml } from './yaml.ts'

test('reads like a hand-written file', () => {
  expect(
    toYaml([
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'a', labels: { 'app.kubernetes.io/name': 'a' } },
        data: { file: 'one\n  two\n', yes: 'on', port: '8080', empty: '', list: [] },
        spec: { items: [{ a: 1, b: [true, null] }, 'x: y', {}], none: undefined },
      },
    ]),
  ).toBe(`---
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  labels:
    app.kubernetes.io/name: a
data:
  file: |
    one
      two
  "yes": "on"
  port: "8080"
  empty: ""
  list: []
spec:
  items:
    - a: 1
      b:
        - true
        - null
    - "x: y"
    - {}
`)
})

const json = fc.jsonValue({ maxDepth: 4 })
const strange = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '---',
    '...',
    '- a',
    'a: b',
    '#',
    '!!int 1',
    '0o7',
    '1e3',
    '12:30:00',
    '2024-01-01',
    '~',
    '{{ x }}',
    '=',
    '<<',
    'a\n',
    '\n',
    'a\n\n',
    ' a\n',
    'a\tb\n',
    '|',
    '>',
    '%',
    '@',
    '`',
    'NULL',
    'No',
    'a #b',
    "it's",
  ),
)

test.each(['1.1', '1.2'] as const)(
  'whatever a text holds, a reader of YAML %s gets it back and nothing more',
  (version) => {
    fc.assert(
      fc.property(fc.dictionary(fc.oneof(strange, fc.string()), fc.oneof(json, strange)), strange, (spec, name) => {
        const object: Manifest = { apiVersion: 'v1', kind: 'Thing', metadata: { name }, spec }
        const documents = parseAllDocuments(toYaml([object, object]), { version, uniqueKeys: false, merge: false })
        const read = documents.map((document) => document.toJS({ mapAsMap: false }))
        expect(read).toEqual([JSON.parse(JSON.stringify(object)), JSON.parse(JSON.stringify(object))])
      }),
      { numRuns: 500 },
    )
  },
)
