import { describe, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { external, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { topic } from '#graph/topic.ts'
import { delivers, webhook } from '#graph/webhook.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { parseAddress } from './address.ts'
import { ConfigurationError, readConfiguration, type Variables } from './configuration.ts'

const bank = external('the-bank', { host: 'bank.example', port: 443, expectedLatencyMs: 300, routes: {} })
const orders = service('orders', {
  exposes: [OrderService],
  owns: [postgres()],
  edges: [calls(InventoryService, ['checkStock']), reaches(bank)],
})
const complete: Variables = {
  PARLEY_SYSTEM: 'shop',
  PARLEY_SERVICE: 'orders',
  PARLEY_LISTEN: 'unix:/run/app.sock',
  PARLEY_ADMIN: 'tcp:127.87.0.1:9000',
  PARLEY_CALLEES: 'parley.inventory.v1.InventoryService=stock-keeper',
  PARLEY_CALL_STOCK_KEEPER: 'unix:/run/out.sock',
  PARLEY_REACH_THE_BANK: 'the-bank:443',
  PGHOST: '/run/pg',
  PGDATABASE: 'orders',
  PGUSER: 'orders',
  PGPASSFILE: '/run/pgpass',
}

function problems(change: Variables): readonly string[] {
  try {
    readConfiguration(orders, { ...complete, ...change })
    return []
  } catch (thrown) {
    if (thrown instanceof ConfigurationError) return thrown.problems
    throw thrown
  }
}

describe('the configuration', () => {
  test('holds what the declaration makes necessary, and null for the rest', () => {
    const read = readConfiguration(orders, complete)
    expect(read.calls).toEqual({
      'parley.inventory.v1.InventoryService': {
        callee: 'stock-keeper',
        address: { kind: 'unix', path: '/run/out.sock' },
      },
    })
    expect(read.reaches).toEqual({
      'the-bank': { address: { kind: 'tcp', host: 'the-bank', port: 443 }, tls: false },
    })
    expect(read.postgres).toMatchObject({ host: '/run/pg', port: 5432 })
    expect([read.kafka, read.rabbitmq]).toEqual([null, null])
  })

  test('takes TLS for Postgres and for an external where no sidecar opens it', () => {
    const files = { PGSSLROOTCERT: '/pg/ca.crt', PGSSLCERT: '/pg/tls.crt', PGSSLKEY: '/pg/tls.key' }
    const bankOverTls = { PARLEY_REACH_THE_BANK: 'tls:bank.example:443' }
    const variables = { ...complete, ...files, ...bankOverTls, PGSSLMODE: 'verify-full', PGPASSFILE: undefined }
    const read = readConfiguration(orders, variables)
    const tls = { authorityFile: '/pg/ca.crt', certFile: '/pg/tls.crt', keyFile: '/pg/tls.key' }
    expect(read.postgres).toMatchObject({ passwordFile: null, tls })
    expect(read.reaches['the-bank']).toEqual({ address: { kind: 'tcp', host: 'bank.example', port: 443 }, tls: true })
    expect(problems({ PGSSLMODE: 'require' })).toEqual(['PGSSLMODE is "require"; it may be disable, verify-full'])
  })

  test('names every variable that is missing, at once, and the service and the next step', () => {
    const attempt = () => readConfiguration(orders, {})
    expect(attempt).toThrow(/Service orders .*\n.*PARLEY_SYSTEM is missing/)
    expect(attempt).toThrow(/bin\/parley start orders/)
    for (const name of [
      'PARLEY_LISTEN',
      'PARLEY_ADMIN',
      'PARLEY_CALLEES',
      'PARLEY_REACH_THE_BANK',
      'PGHOST',
      'PGPASSFILE',
    ]) {
      expect(attempt).toThrow(`${name} is missing`)
    }
  })

  test.each<[Variables, RegExp]>([
    [{ PARLEY_SERVICE: 'payments' }, /PARLEY_SERVICE is "payments", but this is the code of orders/],
    [{ PARLEY_LISTEN: 'unix:app.sock' }, /PARLEY_LISTEN .* not absolute/],
    [{ PARLEY_ADMIN: 'somewhere' }, /PARLEY_ADMIN .* neither/],
    [{ PARLEY_ADMIN: `unix:/${'x'.repeat(120)}` }, /PARLEY_ADMIN .* 121 bytes; 107/],
    [{ PARLEY_CALLEES: 'parley.other.v1.Other=x' }, /names no service for parley.inventory.v1.InventoryService/],
    [{ PARLEY_CALLEES: 'nonsense' }, /PARLEY_CALLEES holds "nonsense"/],
    [{ PARLEY_CALL_STOCK_KEEPER: undefined }, /PARLEY_CALL_STOCK_KEEPER is missing: where calls to stock-keeper go/],
    [{ PGPORT: '70000' }, /PGPORT is "70000"/],
    [{ LOG_LEVEL: 'loud' }, /LOG_LEVEL is "loud"; it may be trace, debug/],
  ])('refuses %j', (change, message) => {
    expect(problems(change).join('\n')).toMatch(message)
  })

  test('lets webhooks inside in a local run alone, and only where somebody said that it is one', () => {
    const hooks = webhook('hooks', topic('orders', { carries: [OrderPlacedSchema], key: 'orderId' }), [
      OrderPlacedSchema,
    ])
    const teller = service('teller', { edges: [delivers(hooks)] })
    const told = { PARLEY_SYSTEM: 'shop', PARLEY_SERVICE: 'teller', PARLEY_ADMIN: 'tcp:127.0.0.1:1' }
    const receivers = (change: Variables) => readConfiguration(teller, { ...told, ...change }).webhookReceivers
    expect(receivers({})).toEqual([])
    expect(receivers({ PARLEY_ENVIRONMENT: 'local', PARLEY_WEBHOOK_RECEIVERS: '127.0.0.1' })).toEqual(['127.0.0.1'])
    for (const PARLEY_ENVIRONMENT of ['production', 'kind', undefined]) {
      const attempt = () => receivers({ PARLEY_ENVIRONMENT, PARLEY_WEBHOOK_RECEIVERS: '127.0.0.1' })
      expect(attempt).toThrow(/PARLEY_WEBHOOK_RECEIVERS is for local runs/)
    }
  })

  test('reads addresses in all their forms', () => {
    expect(parseAddress('tcp:[::1]:80')).toEqual({ kind: 'tcp', host: '::1', port: 80 })
    expect(parseAddress('inventory:8080')).toEqual({ kind: 'tcp', host: 'inventory', port: 8080 })
    expect(parseAddress('tcp:a:99999')).toBe('99999 is no port')
  })
})
