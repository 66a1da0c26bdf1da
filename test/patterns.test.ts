/** The pages on patterns show the code that runs: what a page says stands in a file, stands there. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { layoutOf } from '#local/layout.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { patterns, patternsIndex } from '../demo/patterns.ts'
import { rows } from '../demo/rows.ts'
import { helloSystem } from '../examples/hello/system.ts'
import { rootDir } from './sources.ts'

const folder = join(rootDir, 'docs/patterns')
const index = 'README.md'
const pages = readdirSync(folder).filter((name) => name.endsWith('.md') && name !== index)

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

  test('says when to choose it and when not, what holds it, and what can go wrong', () => {
    const text = readFileSync(join(folder, page), 'utf8')
    // Of the anti-pattern it says what to do instead, and who refuses it.
    const parts =
      page === 'shared-database.md'
        ? [/\*\*Do this instead\*\*/, /^## Refused by the check/m, /^## Refused by Postgres/m]
        : [
            /\*\*Choose it\*\*/,
            /\*\*(Not|Do not|Choose something else)\*\*/,
            /^## (What (is|the mesh) enforce|What the edge enforces)/m,
            /^## What can go wrong/m,
          ]
    for (const part of parts) expect(text).toMatch(part)
  })

  test('links to what is there', () => {
    const text = readFileSync(join(folder, page), 'utf8')
    const missing = [...text.matchAll(/\]\(([^)#:]+)\)/g)].filter(([, to = '']) => !existsSync(join(folder, to)))
    expect(missing.map(([, to]) => to)).toEqual([])
  })
})

test('what a page or the README asks of a local run is a route of who is reached at that port', () => {
  const ways = [shop, helloSystem].flatMap((system) => openAt(derive(system, 'local')))
  const asked = ['README.md', ...pages.map((page) => `docs/patterns/${page}`)].flatMap((file) =>
    [...readFileSync(join(rootDir, file), 'utf8').matchAll(/localhost:(80\d\d)(\/[^\s'"`?>)]*)/g)].map(
      ([url, port = '', path = '']) => ({ file, url, port: Number(port), path }),
    ),
  )
  expect(asked.length).toBeGreaterThan(5)
  expect(asked.filter(({ port, path }) => !ways.some((way) => way.port === port && way.fits(path)))).toEqual([])
})

test('what the README has a newcomer import from the kit is there', async () => {
  const text = readFileSync(join(rootDir, 'README.md'), 'utf8')
  const imports = [...text.matchAll(/^ *import \{ (\w+) \} from '(#kit\/[^']+)'$/gm)]
  expect(imports.length).toBeGreaterThan(2)
  for (const [, name = '', from = ''] of imports) expect(await import(from)).toHaveProperty(name)
})

describe('the index of patterns', () => {
  const names = pages.map((name) => name.replace(/\.md$/, ''))

  test('is what follows from the pages and the rows of the demo', () => {
    const text = patternsIndex(
      names,
      rows.map(({ number }) => number),
    )
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(join(folder, index), text)
    expect(readFileSync(join(folder, index), 'utf8')).toBe(text)
  })

  test('has every page and every row of the demo', () => {
    const numbers = patterns.map(({ number }) => number)
    expect(names.filter((name) => !patterns.some(({ page }) => page === name))).toEqual([])
    expect(rows.filter(({ number }) => !numbers.includes(number))).toEqual([])
  })
})

/** Code as one line: a page may break it elsewhere than its file. */
function squeezed(code: string): string {
  return code.replace(/\s+/g, ' ').trim()
}

/** What is open on a local run: a port, and whether one of its routes fits a path. */
function openAt(plan: Plan): { port: number | undefined; fits: (path: string) => boolean }[] {
  const { services } = layoutOf(plan, { stateDir: '/state', subnet: '127.77.0', host: '127.0.0.1' })
  return plan.exposures.flatMap(({ service, methods }) =>
    methods.map(({ path }) => {
      const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+').replaceAll('.', '\\.')}$`)
      return { port: services[service]?.edge?.port, fits: (asked: string) => pattern.test(asked) }
    }),
  )
}
