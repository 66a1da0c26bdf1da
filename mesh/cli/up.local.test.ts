import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { until } from '#kit/until-fixture.ts'
import { isAlive } from '#local/supervisor/proc.ts'
import { type RunFile, readRunFile } from '#local/supervisor/run-file.ts'
import type { RunStatus } from '#local/supervisor/status.ts'
import { projectDir } from './load.ts'

/** The commands that run a system, on the second example: a service in TypeScript, one in Python, two sidecars. */
const system = ['--system', join(projectDir, 'examples/hello/system.ts')]
const host = '127.86.40.1'
let state: string

beforeAll(() => {
  state = mkdtempSync(join(tmpdir(), 'parley-up-'))
})

afterAll(async () => {
  await parley('down', '--all')
  rmSync(state, { recursive: true, force: true })
})

type Said = { readonly code: number; readonly out: string; readonly err: string }

function parley(...args: string[]): Promise<Said> {
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    PARLEY_STATE: state,
    PARLEY_SUBNET: '127.86.41',
    PARLEY_HOST: host,
    TARGET: 'local',
  }
  return new Promise((resolve) => {
    execFile(join(projectDir, 'bin/parley'), args, { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err })
    })
  })
}

function hello(): Promise<number | undefined> {
  return new Promise((resolve) => {
    const get = request({ host, port: 8080, path: '/hello/you', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    get.on('error', () => resolve(undefined))
    get.end()
  })
}

const status = async (): Promise<RunStatus> => JSON.parse((await parley('status', '--json')).out)
const statesOf = ({ processes }: RunStatus) => Object.fromEntries(processes.map(({ name, state }) => [name, state]))
const allReady = { hello: 'ready', 'hello.sidecar': 'ready', words: 'ready', 'words.sidecar': 'ready' }

function runFile(): RunFile {
  const file = readRunFile(join(state, 'runs/hello'))
  if (!file) throw new Error('the run has no file')
  return file
}

test('up starts the system and says where it is; a second up says that it runs already', async () => {
  const first = await parley('up', ...system)
  expect(first).toMatchObject({ code: 0, err: '' })
  expect(first.out).toContain(`http://${host}:8080`)
  expect(await hello()).toBe(200)
  const before = runFile().pid
  const second = await parley('up', ...system)
  expect(second.code).toBe(0)
  expect(second.out).toContain('hello is running already')
  expect(runFile().pid).toBe(before)
}, 60_000)

test('status tells each process, and how to tell it to a machine', async () => {
  const now = await status()
  expect(statesOf(now)).toEqual(allReady)
  expect(now).toMatchObject({ system: 'hello', state: 'ready', urls: [{ name: 'hello', url: `http://${host}:8080` }] })
  for (const one of now.processes) {
    expect(one).toMatchObject({ pid: expect.any(Number), uptimeMs: expect.any(Number), restarts: 0 })
    expect(one.memoryBytes).toBeGreaterThan(5_000_000)
  }
})

test('a stopped service is refused to its callers until it is started again', async () => {
  expect((await parley('stop', 'words')).code).toBe(0)
  expect(statesOf(await status())).toMatchObject({ words: 'stopped', 'words.sidecar': 'stopped', hello: 'ready' })
  expect(await hello()).toBeGreaterThanOrEqual(500)
  expect((await parley('start', 'words')).code).toBe(0)
  expect(await hello()).toBe(200)
  const wrong = await parley('stop', 'word')
  expect(wrong).toMatchObject({ code: 2, err: 'There is no word in this run. There are: hello, words.\n' })
}, 20_000)

test('a service that is killed comes back, and status counts it', async () => {
  const pid = (await status()).processes.find(({ name }) => name === 'words')?.pid ?? 0
  process.kill(pid, 'SIGKILL')
  const words = async () => (await status()).processes.find(({ name }) => name === 'words')
  await until(async () => (await words())?.restarts === 1, 'it was started again', 9_000, 50)
  await until(async () => (await words())?.state === 'ready', 'it is ready again', 9_000, 50)
  expect(await hello()).toBe(200)
  expect(await words()).toMatchObject({ state: 'ready', restarts: 1, lastExit: 'was killed by SIGKILL' })
}, 20_000)

test('what is secret is for its owner alone', () => {
  const dir = join(state, 'runs/hello')
  const open = readdirSync(dir, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => /key|\.sock|\.json|secret/.test(path) && (statMode(path) & 0o077) !== 0)
  expect(open).toEqual([])
})

test('a run whose supervisor was killed is cleaned up by the next up', async () => {
  const died = runFile()
  process.kill(died.pid, 'SIGKILL')
  while (isAlive(died)) await sleep(10)
  expect((await parley('status')).out).toContain('hello lost its supervisor')
  const again = await parley('up', ...system)
  expect(again.out).toContain('Ended what it left: hello')
  expect(again.code).toBe(0)
  expect(died.processes.filter(isAlive)).toEqual([])
  expect(await hello()).toBe(200)
}, 60_000)

test('another run of it is refused the same ports, by the name of who has them, and leaves nothing', async () => {
  const other = mkdtempSync(join(tmpdir(), 'parley-up-'))
  const refused = await parley('up', ...system, '--state', other)
  expect(refused.code).toBe(3)
  expect(refused.err).toMatch(/Port 8080 of 127\.86\.40\.1, for hello\.sidecar, is taken by pid \d+ \(.*envoy/)
  expect(existsSync(join(other, 'runs/hello/run.json'))).toBe(false)
  rmSync(other, { recursive: true, force: true })
}, 30_000)

test('down leaves no process, no socket and no file of the run; a second down is fine', async () => {
  const { processes, socketsDir } = runFile()
  expect(processes).toHaveLength(4)
  expect((await parley('down')).code).toBe(0)
  expect(processes.filter(isAlive)).toEqual([])
  expect(existsSync(socketsDir)).toBe(false)
  expect(existsSync(join(state, 'runs/hello/run.json'))).toBe(false)
  expect(await parley('down')).toMatchObject({ code: 0, out: 'Nothing is running.\n' })
})

test('a declaration with findings and wrong use start nothing', async () => {
  expect(await parley('up', '--system', 'nowhere.ts')).toMatchObject({ code: 2 })
  expect(await parley('up', ...system, '--target', 'mars')).toMatchObject({ code: 2 })
  expect(await parley('up', ...system, '--subnet', '10.0.0')).toMatchObject({ code: 2 })
  expect(await parley('start', 'words')).toMatchObject({ code: 2 })
  expect(readFileSync(join(state, 'runs/hello/logs/supervisor.log'), 'utf8')).not.toContain('unexpected')
}, 30_000)

function statMode(path: string): number {
  return statSync(path).mode
}
