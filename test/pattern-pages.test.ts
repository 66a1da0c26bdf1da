import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { rootDir } from './sources.ts'

const folder = join(rootDir, 'docs/patterns')
const pages = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.md')) : []

/** A block that says where it is from: `From `path`:` right before it. */
const quoted = /From `([^`]+)`:\s+```ts\n([\s\S]*?)```/g

describe.each(pages)('%s', (name) => {
  const text = readFileSync(join(folder, name), 'utf8')

  test('quotes code that stands there today', () => {
    const stale = [...text.matchAll(quoted)].filter(
      ([, path = '', code = '']) => !squeezed(readFileSync(join(rootDir, path), 'utf8')).includes(squeezed(code)),
    )
    expect(stale.map(([all]) => all)).toEqual([])
  })

  test('leads somewhere with each of its links', () => {
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = '']) => path)
    expect(links.filter((path) => !existsSync(join(folder, path)))).toEqual([])
  })
})

function squeezed(code: string): string {
  return code.replace(/\s+/g, ' ').trim()
}
