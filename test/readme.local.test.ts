/** The README's commands, run as they stand there. Only the host differs, so that a user's own run is left alone. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { svg } from '#mesh/diagram/svg.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { rootDir } from './sources.ts'
import { eventually, type Stack, shopStack, startTimeoutMs } from './stack.ts'

const readme = readFileSync(join(rootDir, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, text = '']) => text)

let stack: Stack
beforeAll(() => {
  stack = shopStack(14)
})
afterAll(async () => stack.stop(), 60_000)

describe('the README', () => {
  test(
    'starts the shop, and an order placed by its curl is shipped',
    async () => {
      expect(sh(blockWith('make up')).stdout).toMatch(/is ready after/)
      const placed = sh(blockWith('curl -i')).stdout
      expect(placed).toMatch(/^HTTP\/1.1 201 /)
      const orderId = placed.match(/^location: .*\/([0-9a-f-]{36})/m)?.[1] ?? ''
      const show = blockWith('/orders/ID').replace('ID', orderId)
      await eventually(
        async () => sh(show).stdout,
        (shown) => shown.includes('"state":{"name":"shipped"'),
      )
    },
    startTimeoutMs,
  )

  test('names addresses that show what it says', async () => {
    const urls = [...readme.matchAll(/<http:\/\/localhost(:\d+[^>]*)>/g)].map(
      ([, rest = '']) => `http://${stack.layout.host}${rest}`,
    )
    expect(urls).toHaveLength(4)
    for (const url of urls) expect((await fetch(url)).status).toBe(200)
  })

  test('looks around with commands that all work', () => {
    for (const line of blockWith('bin/parley check').trim().split('\n')) {
      const command = line.replace(/#.*$/, '').replace(' -f', '').trim()
      expect({ command, code: sh(command).code }).toEqual({ command, code: 0 })
    }
  }, 60_000)

  test('breaks inventory, and mends it', () => {
    const [stop = '', ...lines] = blockWith('stop inventory').trim().split('\n')
    const start = lines.pop() ?? ''
    expect(sh(stop).code).toBe(0)
    expect(sh(lines.join('\n')).stdout.match(/"stockCheck":"unknown"/g)).toHaveLength(6)
    expect(sh(start).code).toBe(0)
  }, 60_000)

  test('runs a second system beside it', () => {
    const other = {
      PARLEY_STATE: `${stack.layout.runDir}-hello`,
      PARLEY_SUBNET: '127.77.15',
      PARLEY_HOST: '127.77.15.1',
    }
    const [up = '', curl = ''] = blockWith('examples/hello/system.ts').trim().split('\n')
    try {
      expect(sh(up, other).code).toBe(0)
      expect(sh(curl, other).stdout).toBe('{"message":"Hello, ada!"}')
    } finally {
      expect(sh('bin/parley down', other).code).toBe(0)
    }
  }, 60_000)

  test('ends everything', () => {
    expect(sh('make down').code).toBe(0)
    expect(sh('make down').code).toBe(0)
    expect(sh('bin/parley status').stdout).toContain('Nothing is running')
  }, 60_000)

  test('shows the shop as it is declared today (otherwise: bin/parley graph --svg docs/shop.svg)', () => {
    expect(readFileSync(join(rootDir, 'docs/shop.svg'), 'utf8')).toBe(svg(derive(shop, 'local')))
  })
})

function blockWith(text: string): string {
  const found = blocks.find((block) => block.includes(text))
  if (!found) throw new Error(`The README has no commands with ${text}`)
  return found
}

function sh(commands: string, variables: Record<string, string> = {}): { code: number | null; stdout: string } {
  const { host, runDir } = stack.layout
  const own = {
    PARLEY_STATE: join(runDir, '../..'),
    PARLEY_SUBNET: host.replace(/\.1$/, ''),
    PARLEY_HOST: host,
    ...variables,
  }
  const env = {
    ...process.env,
    PARLEY_TOOLS: join(rootDir, '.parley/tools'),
    NODE_OPTIONS: '',
    TARGET: 'local',
    ...own,
  }
  const text = commands.replaceAll('localhost', own.PARLEY_HOST)
  const { status, stdout } = spawnSync('sh', ['-ec', text], { cwd: rootDir, env, encoding: 'utf8' })
  return { code: status, stdout }
}
