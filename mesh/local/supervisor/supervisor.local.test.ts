import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { until } from '#kit/until-fixture.ts'
import type { ProcessSpec } from '../process.ts'
import { controlOf } from './control.ts'
import { type RunEvent, type SupervisedRun, superviseRun } from './daemon.ts'
import { inotifyInstancesOf, inotifyShortage } from './inotify.ts'
import { isAlive, processRow, processTable } from './proc.ts'
import { isLive, readRunFile } from './run-file.ts'
import { cleanStale } from './stale.ts'
import { Supervisor } from './supervisor.ts'

let dir: string
let supervisor: Supervisor | null = null

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'supervisor-'))
})

afterEach(async () => {
  await supervisor?.stopAll()
  supervisor = null
  rmSync(dir, { recursive: true, force: true })
})

/** A process that runs a line of shell, ready once the file of its name is there. */
function shell(name: string, script: string, more: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    name,
    kind: 'service',
    argv: ['/bin/sh', '-c', script],
    env: { PATH: process.env.PATH ?? '', READY: join(dir, name) },
    cwd: dir,
    user: null,
    logFile: join(dir, 'logs', `${name}.log`),
    needs: [],
    listens: [],
    sockets: [],
    urls: [],
    prepare: async () => rmSync(join(dir, name), { force: true }),
    ready: async () => existsSync(join(dir, name)),
    stop: { signal: 'SIGTERM', graceMs: 300 },
    ...more,
  }
}

const runs = 'touch $READY; exec sleep 60'
const lifeOf = (name: string) => supervisor?.lives.find((life) => life.spec.name === name)
const stateOf = (name: string) => lifeOf(name)?.record.state

test('what does not depend starts at once, what does starts when its need is usable', async () => {
  const seen: string[] = []
  const specs = [
    shell('service', runs, { needs: ['store', 'service.sidecar'] }),
    shell('service.sidecar', runs, { kind: 'sidecar' }),
    shell('store', `sleep 0.3; ${runs}`, { kind: 'part', provision: async () => void seen.push('store provisioned') }),
  ]
  supervisor = new Supervisor(specs, {
    changed: ({ spec, record }) => {
      if (record.pid !== null && record.state === 'starting' && record.detail === null) seen.push(spec.name)
    },
  })
  await supervisor.start()
  expect(seen).toEqual(['service.sidecar', 'store', 'store provisioned', 'service'])
})

test('of a process that dies loudly the lines that name the cause are shown, not where in its code it was', async () => {
  const backtrace = Array.from({ length: 40 }, (_, line) => `[critical][backtrace] #${line}: Envoy::Thing`).join('\\n')
  const said = `[warning] first\\n[critical][assert] assert failure: inotify_fd_ >= 0\\n${backtrace}\\nmore`
  supervisor = new Supervisor([shell('orders.sidecar', `printf '${said}\\n'; kill -ABRT $$`)])
  const failure = await supervisor.start().then(String, String)
  expect(failure).toContain('orders.sidecar was killed by SIGABRT')
  expect(failure).toContain('It said:\n  | [critical][assert] assert failure: inotify_fd_ >= 0\n  | more\n')
})

test('inotify instances that are held already, and by whom, are known before anything starts', () => {
  const before = inotifyInstancesOf(process.pid)
  const watcher = watch(dir)
  try {
    expect(inotifyInstancesOf(process.pid)).toBeGreaterThanOrEqual(Math.max(1, before))
    const shortage = inotifyShortage(1_000_000)
    expect(shortage).toMatch(
      /^The sidecars need 1000000 inotify instances .*, a user may hold \d+, and \d+ are held already: /,
    )
    expect(shortage).toContain('sudo sysctl fs.inotify.max_user_instances=1048576')
  } finally {
    watcher.close()
  }
  const holders = [7, 8].map((pid) => ({ pid, program: 'envoy', instances: 50 }))
  expect(inotifyShortage(28, { instancesMax: 128, holders })).toBeNull()
  expect(inotifyShortage(29, { instancesMax: 128, holders })).toContain('100 by envoy (2 processes, pid 7 for one).\n')
  expect(inotifyShortage(0, { instancesMax: 128, holders: [{ pid: 1, program: 'code', instances: 500 }] })).toBeNull()
})

test('a start that fails names the process, how it ended, its last lines and its log', async () => {
  supervisor = new Supervisor([shell('orders', 'echo "no database" >&2; exit 7')])
  mkdirSync(join(dir, 'logs'))
  writeFileSync(join(dir, 'logs/orders.log'), 'of an earlier run\n')
  const failure = await supervisor.start().catch((error: Error) => error.message)
  expect(failure).toContain('orders ended with code 7, 3 times in a row.')
  expect(failure).toContain('| no database')
  expect(failure).not.toContain('of an earlier run')
  expect(failure).toContain(join(dir, 'logs/orders.log'))
})

test('a start that takes too long is ended and told', async () => {
  supervisor = new Supervisor([shell('slow', 'exec sleep 60')], { startMsMax: 200 })
  await expect(supervisor.start()).rejects.toThrow('slow was not ready within 0.2 s')
  expect(lifeOf('slow')?.child).toBeNull()
})

test('a process that crashes is started again, with all of its group gone', async () => {
  supervisor = new Supervisor([shell('orders', 'sleep 61 & echo $! > child; touch $READY; wait')])
  await supervisor.start()
  const grandchild = Number(readFileSync(join(dir, 'child'), 'utf8'))
  const first = lifeOf('orders')?.child?.pid ?? 0
  process.kill(first, 'SIGKILL')
  await until(() => stateOf('orders') === 'backoff', 'it backs off')
  await until(() => processRow(grandchild) === null, 'its grandchild is gone')
  await until(() => stateOf('orders') === 'ready', 'it is ready again')
  expect(lifeOf('orders')?.record).toMatchObject({ restarts: 1, lastExit: 'was killed by SIGKILL' })
  expect(lifeOf('orders')?.child?.pid).not.toBe(first)
})

test('provisioning that fails is tried again with the process; who waits gives up after the third time', async () => {
  let failures = 2
  const provision = async () => {
    if (failures-- > 0) throw new Error('no leader yet')
  }
  supervisor = new Supervisor([shell('kafka', runs, { kind: 'part', provision })])
  await supervisor.start()
  expect(lifeOf('kafka')?.record).toMatchObject({
    ...{ state: 'ready', restarts: 2 },
    lastExit: 'cannot be provisioned: no leader yet',
  })
  failures = 9
  await expect(supervisor.restartOne('kafka')).rejects.toThrow(
    'kafka cannot be provisioned: no leader yet, 3 times in a row.',
  )
})

test('stop takes a service and its sidecar away and they stay away; start brings them back', async () => {
  supervisor = new Supervisor([
    shell('orders', runs, { needs: ['orders.sidecar', 'kafka'] }),
    shell('orders.sidecar', runs, { kind: 'sidecar' }),
    shell('kafka', runs, { kind: 'part' }),
  ])
  await supervisor.start()
  await supervisor.stopOne('orders')
  expect([stateOf('orders'), stateOf('orders.sidecar'), stateOf('kafka')]).toEqual(['stopped', 'stopped', 'ready'])
  await supervisor.startOne('orders')
  expect(stateOf('orders')).toBe('ready')
  const [sidecar, application] = [lifeOf('orders.sidecar')?.child?.pid, lifeOf('orders')?.child?.pid]
  await supervisor.restartOne('orders', true)
  expect(lifeOf('orders.sidecar')?.child?.pid).toBe(sidecar)
  expect(lifeOf('orders')?.child?.pid).not.toBe(application)
  await supervisor.stopOne('kafka')
  await expect(supervisor.restartOne('orders')).rejects.toThrow('orders needs kafka, which is stopped')
  await expect(supervisor.stopOne('order')).rejects.toThrow('There is no order in this run. There are: kafka, orders.')
})

test('a restart that is under way when everything is stopped starts nothing', async () => {
  supervisor = new Supervisor([shell('orders', runs)])
  await supervisor.start()
  const restart = expect(supervisor.restartOne('orders')).rejects.toThrow('The run is being stopped')
  await supervisor.stopAll()
  await restart
  expect(stateOf('orders')).toBe('stopped')
})

test('what does not heed the signal is killed after its grace', async () => {
  supervisor = new Supervisor([shell('deaf', 'trap "" TERM; touch $READY; while :; do sleep 0.1; done')])
  await supervisor.start()
  const group = lifeOf('deaf')?.child?.pid ?? 0
  await supervisor.stopAll()
  expect(processTable().filter((row) => row.group === group)).toEqual([])
})

/** A run in the test's own folder, its supervisor in this process. */
function runOf(specs: readonly ProcessSpec[]): SupervisedRun {
  const layout = { host: '127.86.0.1', runDir: dir, socketsDir: join(dir, 's'), logsDir: join(dir, 'logs') }
  const nothing = async () => {}
  const names = { system: 'test', systemFile: 'test.ts', subnet: '127.86.0', fingerprint: '1' }
  return { layout, ...names, specs, prepare: nothing, renew: nothing, rotate: nothing }
}

test('a run answers on its socket, and leaves no process, socket or file when it is told to go down', async () => {
  const ready = Promise.withResolvers<void>()
  const report = (event: RunEvent) => void (event.kind === 'ready' && ready.resolve())
  const run = superviseRun(
    runOf([shell('orders', runs, { urls: ['http://127.86.0.1:8080'] })]),
    report,
    new AbortController(),
  )
  await ready.promise
  const control = controlOf(join(dir, 's/control.sock'))
  const status = await control.status()
  expect(status).toMatchObject({ state: 'ready', urls: [{ name: 'orders', url: 'http://127.86.0.1:8080' }] })
  const [orders] = status.processes
  expect(orders?.memoryBytes).toBeGreaterThan(10_000)
  await expect(control.stop('bank')).rejects.toThrow('There is no bank in this run.')
  await control.down()
  expect(await run).toBe(true)
  expect(processRow(orders?.pid ?? 0)).toBeNull()
  expect(existsSync(join(dir, 's'))).toBe(false)
  expect(readRunFile(dir)).toBeNull()
})

/** Starts a run in this process, and gives back its control and its end. */
async function upOf(run: SupervisedRun) {
  const events: RunEvent[] = []
  const done = superviseRun(run, (event) => void events.push(event), new AbortController())
  await until(() => events.some(({ kind }) => kind === 'ready'), 'the run is ready')
  return { control: controlOf(join(dir, 's/control.sock')), done, events }
}

test('a run goes down though somebody has connected to its socket and says nothing', async () => {
  const { control, done } = await upOf(runOf([]))
  const silent = connect(join(dir, 's/control.sock'))
  try {
    await once(silent, 'connect')
    await control.down()
    expect(await done).toBe(true)
  } finally {
    silent.destroy()
  }
})

test('certificates are rotated one time after the other, and a failure is told to whoever asked', async () => {
  const seen: string[] = []
  const rotate = async (authority: boolean) => {
    seen.push(`begins ${authority}`)
    await sleep(30)
    seen.push(`ends ${authority}`)
    if (authority) throw new Error('the disk is full')
  }
  const { control, done } = await upOf({ ...runOf([]), rotate })
  const both = await Promise.allSettled([control.rotate(true), control.rotate(false)])
  await control.down()
  await done
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  expect(seen.filter((text) => text.startsWith('begins'))).toHaveLength(2)
  expect([0, 2].map((at) => seen[at]?.replace('begins', 'ends'))).toEqual([seen[1], seen[3]])
})

test('a run whose file cannot be written any more says so, and still ends everything', async () => {
  const { control, done, events } = await upOf(runOf([shell('orders', runs)]))
  const [orders] = (await control.status()).processes
  mkdirSync(join(dir, 'run.json.next'))
  await control.down()
  expect(await done).toBe(true)
  expect(processRow(orders?.pid ?? 0)).toBeNull()
  expect(events.find(({ kind }) => kind === 'note')).toMatchObject({
    text: expect.stringContaining("The run's file cannot be written"),
  })
})

test('a folder of sockets that others may write to is refused before anything is made in it', async () => {
  mkdirSync(join(dir, 's'))
  chmodSync(join(dir, 's'), 0o777)
  const run = superviseRun(runOf([shell('orders', runs)]), () => {}, new AbortController())
  await expect(run).rejects.toThrow('its mode is 0777')
  expect(readRunFile(dir)).toBeNull()
})

test('a taken port is told with who has it, and nothing starts', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(8086, '127.86.0.1', resolve))
  const events: RunEvent[] = []
  const spec = shell('gateway', runs, { listens: [{ address: '127.86.0.1', port: 8086 }] })
  expect(await superviseRun(runOf([spec]), (event) => events.push(event), new AbortController())).toBe(false)
  server.close()
  expect(events).toHaveLength(1)
  const [event] = events
  expect(event?.kind === 'failed' && event.message).toContain(
    `Port 8086 of 127.86.0.1, for gateway, is taken by pid ${process.pid} (`,
  )
})

test('the children of a supervisor that was killed are found and ended by the next', async () => {
  mkdirSync(join(dir, 'logs'))
  const script = `
    import { superviseRun } from '${import.meta.dirname}/daemon.ts'
    const dir = '${dir}'
    const spec = (name, line) => ({ name, kind: 'part', argv: ['/bin/sh', '-c', line], env: {}, cwd: dir, user: null,
      logFile: dir + '/logs/' + name, needs: [], listens: [], sockets: [], urls: [], ready: async () => true,
      stop: { signal: 'SIGTERM', graceMs: 300 } })
    const layout = { host: '127.86.0.1', runDir: dir, socketsDir: dir + '/s', logsDir: dir + '/logs' }
    const nothing = async () => {}
    const specs = [spec('a', 'exec sleep 60'), spec('b', 'trap "" TERM; sleep 60 & wait; wait')]
    await superviseRun({ layout, system: 'x', systemFile: 'x', subnet: 'x', fingerprint: 'x', specs,
      prepare: nothing, renew: nothing, rotate: nothing }, () => {}, new AbortController())`
  const env = { ...process.env, NODE_OPTIONS: '' }
  const daemon = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { env, stdio: 'inherit' })
  await until(() => existsSync(join(dir, 'run.json')) && readRunFile(dir)?.state === 'ready', 'the run is ready')
  daemon.kill('SIGKILL')
  await new Promise((resolve) => daemon.once('exit', resolve))
  const file = readRunFile(dir)
  if (!file) throw new Error('the run left no file')
  expect(isLive(file)).toBe(false)
  expect(file.processes.filter(isAlive).map(({ name }) => name)).toEqual(['a', 'b'])
  expect(await cleanStale(dir, file, 300)).toEqual(['a', 'b'])
  expect(file.processes.filter(isAlive)).toEqual([])
  expect(existsSync(join(dir, 's'))).toBe(false)
})
