import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { external, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import { system } from '#graph/system.ts'
import { derive } from '#plan/derive.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { type Layout, layoutOf } from './layout.ts'
import { envoyCommand, envoySite, sidecarFiles } from './sidecar.ts'

const outside = { port: 443, expectedLatencyMs: 100, routes: {} }
const bank = external('bank', { ...outside, host: 'bank.example', standIn: { start: module('bank.ts') } })
const tax = external('tax', { ...outside, host: 'tax.example' })
const inventory = service('inventory', { exposes: [InventoryService] })
const orders = service('orders', { edges: [calls(InventoryService, ['checkStock']), reaches(bank), reaches(tax)] })
const plan = derive(system('two', { services: [orders, inventory] }), 'local')
let layout: Layout

beforeEach(async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'sidecar-'))
  layout = layoutOf(plan, { stateDir, subnet: '127.77.0', host: '127.0.0.1' })
})

afterEach(() => rm(dirname(dirname(layout.runDir)), { recursive: true, force: true }))

test('a stand-in takes the place of its system, without TLS; a system without one is reached itself', () => {
  expect(envoySite(plan, layout, 'orders').externals).toEqual({
    bank: { ...layout.externals.bank?.listen, tls: false },
    tax: { address: 'tax.example', port: 443, tls: true },
  })
})

test('only files that change are moved into place, readable by their owner alone', async () => {
  await sidecarFiles(plan, layout, 'orders')
  const before = await inodes('orders')
  await sidecarFiles(plan, layout, 'orders', [
    {
      ...{ at: 'caller', from: 'orders', to: 'inventory', path: null, percent: 100 },
      effect: { kind: 'delay', delayMs: 10 },
    },
  ])
  const after = await inodes('orders')
  expect(Object.keys(after).filter((name) => after[name]?.inode !== before[name]?.inode)).toEqual(['outbound.json'])
  expect(new Set(Object.values(after).map(({ mode }) => mode))).toEqual(new Set([0o600]))
})

test('a service that is not there is named, with those that are', () => {
  expect(() => envoyCommand('envoy', layout, 'nobody')).toThrow('no service nobody; it has inventory, orders')
})

async function inodes(name: string): Promise<Record<string, { inode: number; mode: number }>> {
  const dir = layout.services[name]?.envoyDir ?? ''
  const names = await readdir(dir)
  const stats = await Promise.all(names.map((file) => stat(join(dir, file))))
  return Object.fromEntries(stats.map((one, index) => [names[index], { inode: one.ino, mode: one.mode & 0o777 }]))
}
