/** What a pod is told is what the kit reads: each service of the shop gets a complete configuration, and the files in it. */
import { describe, expect, test } from '@jest/globals'
import type { ServiceNode } from '#graph/service.ts'
import { readConfiguration } from '#kit/app/configuration.ts'
import { shop } from '#mesh/shop.ts'
import { cases } from './testdata/cases.ts'
import { type Pod, podsIn } from './testdata/hardening.ts'

const variablesOf = ({ spec }: Pod) =>
  Object.fromEntries((spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value ?? 'from a secret']))

const configure = (title: string, service: string) => {
  const { objects } = cases.find((one) => one.title === title) ?? { objects: [] }
  const pod = podsIn(objects).find(({ name }) => name === service)
  const node = shop.services.find(({ name }) => name === service)
  if (!pod || !node) throw new Error(`${title} has no ${service}`)
  return readConfiguration(node as ServiceNode, variablesOf(pod))
}

describe.each(cases)('$title', ({ objects }) => {
  const services = podsIn(objects).filter(({ labels }) => labels['app.kubernetes.io/component'] === 'service')

  test('the kit finds everything that a service declares', () => {
    expect(services).toHaveLength(shop.services.length)
    for (const pod of services) {
      const node = shop.services.find(({ name }) => name === pod.name) as ServiceNode
      const { admin, listen, webhookReceivers } = readConfiguration(node, variablesOf(pod))
      expect(webhookReceivers).toEqual([])
      expect(admin).toMatchObject({ host: '0.0.0.0', port: 9464 })
      expect(listen === null || (listen.kind === 'tcp' && listen.port === 8080)).toBe(true)
    }
  })

  test('every file that a variable names is mounted', () => {
    for (const { name, spec } of services) {
      const mounted = spec.volumes.flatMap((volume) => {
        const at = spec.containers[0]?.volumeMounts.find((mount) => mount.name === volume.name)?.mountPath
        const items = (volume.projected?.sources ?? []).flatMap(
          ({ secret }) => (secret?.items ?? []) as { path: string }[],
        )
        return items.map(({ path }) => `${at}/${path}`)
      })
      const named = (spec.containers[0]?.env ?? []).flatMap(({ value = '' }) =>
        value.startsWith('/var/run/') ? [value] : [],
      )
      expect([name, named.sort()]).toEqual([name, mounted.sort()])
    }
  })
})

test('where calls, externals and data services are', () => {
  expect(configure('kind istio', 'orders')).toMatchObject({
    calls: {
      'parley.inventory.v1.InventoryService': {
        callee: 'inventory',
        address: { kind: 'tcp', host: 'inventory.shop.svc.cluster.local', port: 8080 },
      },
    },
    kafka: { brokers: ['shop-kafka-kafka-bootstrap.shop.svc.cluster.local:9093'] },
    postgres: { host: 'shop-postgres-rw.shop.svc.cluster.local', database: 'orders', user: 'orders' },
  })
  const bank = (title: string) => configure(title, 'payments').reaches.bank
  expect(bank('kind istio')).toEqual({
    address: { kind: 'tcp', host: 'bank.shop-outside.svc.cluster.local', port: 80 },
    tls: false,
  })
  // Istio's sidecar opens TLS; without one the process does.
  expect(bank('production istio')).toEqual({ address: { kind: 'tcp', host: 'bank.example', port: 80 }, tls: false })
  expect(bank('production none')).toEqual({ address: { kind: 'tcp', host: 'bank.example', port: 443 }, tls: true })
})
