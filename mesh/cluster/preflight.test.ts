import { expect, test } from '@jest/globals'
import type { Said } from './command.ts'
import { parseKindConfig } from './kind-config.ts'
import { type Machine, preflight, requireFit } from './preflight.ts'

const gibibyte = 1024 ** 3
const said = (stdout: string): Said => ({ code: 0, stdout, stderr: '' })
const absent: Said = { code: null, stdout: '', stderr: '' }

const fit: Readonly<Record<string, Said>> = {
  docker: said(`${16 * gibibyte} linux 28.2.2\n`),
  kind: said('kind v0.30.0 go1.24.6 linux/amd64\n'),
  helm: said('v3.18.4+gd80839c\n'),
  kubectl: said('Client Version: v1.34.1\nKustomize Version: v5.7.1\n'),
}
const proc: Readonly<Record<string, string>> = {
  '/proc/meminfo': `MemTotal: ${16 * 1024 ** 2} kB\nMemAvailable: ${12 * 1024 ** 2} kB\n`,
  '/proc/sys/fs/inotify/max_user_instances': '1024\n',
  '/proc/sys/fs/inotify/max_user_watches': '1048576\n',
}

function machine(programs: object = {}, files: object = {}, taken: string | null = null): Machine {
  const all: Readonly<Record<string, Said>> = { ...fit, ...programs }
  const texts: Readonly<Record<string, string>> = { ...proc, ...files }
  return {
    run: async (program) => all[program] ?? absent,
    read: (path) => texts[path] ?? null,
    memoryBytes: 16 * gibibyte,
    portTaken: async () => taken,
  }
}

const { ports } = parseKindConfig('{ nodes: [{ extraPortMappings: [{ hostPort: 8080, containerPort: 30080 }] }] }')
const look = (one: Machine, running = false) => preflight(one, { ports, running })

test('a fit machine has nothing to mend', async () => {
  expect(await look(machine())).toEqual({ problems: [], warnings: [] })
})

test('everything that is wrong is said at once, each with the next step', async () => {
  const bare = machine(
    {
      docker: { code: 1, stdout: '', stderr: 'Cannot connect to the Docker daemon' },
      kind: absent,
      helm: said('v3.9.0+g7ceeda6'),
      kubectl: absent,
    },
    {},
    'Port 8080 of 127.0.0.1, for kind, is taken by pid 1 (x).',
  )
  const { problems } = await look(bare)
  expect(problems).toEqual([
    'Docker does not answer: Cannot connect to the Docker daemon\nStart Docker (systemctl start docker, or Docker Desktop).',
    'There is no kind on the PATH. Install kind 0.27.0 or newer.',
    'helm is 3.9.0; 3.14.0 or newer is needed. Update it.',
    'There is no kubectl on the PATH. Install kubectl 1.28.0 or newer.',
    'Port 8080 of 127.0.0.1, for kind, is taken by pid 1 (x).',
  ])
  expect(() => requireFit({ problems, warnings: [] })).toThrow(/not ready for kind:\n.*Nothing was started/s)
})

test('docker info ends with 0 and no memory where no daemon runs', async () => {
  const { problems } = await look(machine({ docker: { code: 0, stdout: '0  \n', stderr: 'no daemon' } }))
  expect(problems[0]).toMatch(/^Docker does not answer: no daemon/)
})

test.each([
  ['kind v0.26.9', 1],
  ['kind v0.27.0', 0],
  ['kind v1.0.0-alpha+4a', 0],
])('%s: %d problems', async (version, count) => {
  expect((await look(machine({ kind: said(version) }))).problems).toHaveLength(count)
})

test('memory that others use counts, but not that of the cluster itself', async () => {
  const full = machine({}, { '/proc/meminfo': `MemAvailable: ${5 * 1024 ** 2} kB\n` })
  expect((await look(full)).problems).toEqual([expect.stringContaining('Docker has 5.0 GiB of memory free')])
  expect((await look(full, true)).problems).toEqual([])
})

test('a virtual machine of Docker has its own memory, and its own limits of the kernel', async () => {
  const low = { '/proc/sys/fs/inotify/max_user_instances': '128\n' }
  expect((await look(machine({ docker: said(`${4 * gibibyte} linux 28`) }, low))).problems).toEqual([
    expect.stringContaining('Give it more (Settings, Resources)'),
  ])
})

test('too few inotify instances stop a run; few watches are a warning', async () => {
  const low = { '/proc/sys/fs/inotify/max_user_instances': '128\n', '/proc/sys/fs/inotify/max_user_watches': '65536' }
  const { problems, warnings } = await look(machine({}, low))
  expect(problems).toEqual([expect.stringContaining('sudo sysctl fs.inotify.max_user_instances=512')])
  expect(warnings).toEqual([expect.stringContaining('fs.inotify.max_user_watches is 65536')])
})

test('a cluster that is there holds its own ports', async () => {
  expect((await look(machine({}, {}, 'taken'), true)).problems).toEqual([])
})
