/** The pages on patterns show the code that runs: what a page says stands in a file, stands there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { rootDir } from './sources.ts'

const folder = join(rootDir, 'docs/patterns')
const pages = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.md')) : []

/** Code blocks that name a file: "```ts mesh/shop.ts". */
function excerpts(page: string): { file: string; code: string }[] {
  const blocks = readFileSync(join(folder, page), 'utf8').matchAll(/^```ts (\S+)\n(.*?)^```$/gms)
  return [...blocks].map(([, file = '', code = '']) => ({ file, code: code.trim() }))
}

describe.each(pages)('docs/patterns/%s', (page) => {
  test('shows code that is there', () => {
    const found = excerpts(page)
    expect(found.length).toBeGreaterThan(0)
    for (const { file, code } of found)
      expect(squeezed(readFileSync(join(rootDir, file), 'utf8'))).toContain(squeezed(code))
  })

  test('links to what is there', () => {
    const text = readFileSync(join(folder, page), 'utf8')
    const missing = [...text.matchAll(/\]\(([^)#:]+)\)/g)].filter(([, to = '']) => !existsSync(join(folder, to)))
    expect(missing.map(([, to]) => to)).toEqual([])
  })
})

/** Code as one line: a page may break it elsewhere than its file. */
function squeezed(code: string): string {
  return code.replace(/\s+/g, ' ').trim()
}
