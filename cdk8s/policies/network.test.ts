import { describe, expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import type { Manifest } from '#providers/manifest.ts'
import { cases } from '../workloads/testdata/cases.ts'

type Peer = {
  namespaceSelector?: { matchLabels: Record<string, string> }
  podSelector?: { matchLabels: Record<string, string> }
  ipBlock?: { cidr: string; except?: string[] }
}
type Rule = { from?: Peer[]; to?: Peer[]; ports?: { port: number }[] }
type Spec = {
  podSelector: { matchLabels?: Record<string, string> }
  policyTypes: string[]
  ingress: Rule[]
  egress: Rule[]
}

const policies = (objects: readonly Manifest[]) =>
  objects
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .map(({ metadata, spec }) => ({ name: metadata.name, namespace: metadata.namespace, spec: spec as Spec }))

const appOf = (peer: Peer) => (peer.namespaceSelector ? undefined : peer.podSelector?.matchLabels.app)

/** `caller callee port` for everything that the policies of services open towards others of the namespace. */
function opened(objects: readonly Manifest[], namespace: string, side: 'ingress' | 'egress'): string[] {
  return policies(objects)
    .filter((policy) => policy.namespace === namespace && policy.spec.podSelector.matchLabels?.app === policy.name)
    .flatMap(({ name, spec }) =>
      spec[side].flatMap((rule) =>
        (rule[side === 'ingress' ? 'from' : 'to'] ?? []).flatMap((peer) => {
          const other = appOf(peer)
          if (other === undefined) return []
          const edge = side === 'ingress' ? `${other} ${name}` : `${name} ${other}`
          return (rule.ports ?? []).map(({ port }) => `${edge} ${port}`)
        }),
      ),
    )
    .sort()
}

describe.each(cases)('$title', ({ site, objects }) => {
  test('both ends of every declared call are open at the port that its proxies meet on, and of no other', () => {
    const port = site.mesh === 'linkerd' ? 4143 : 8080
    const declared = derive(shop, site.environment)
      .links.map(({ from, to }) => `${from} ${to} ${port}`)
      .sort()
    expect(declared.length).toBeGreaterThan(0)
    expect(opened(objects, site.namespace, 'egress')).toEqual(declared)
    expect(opened(objects, site.namespace, 'ingress')).toEqual(declared)
  })

  test('every namespace is closed in both directions, and every rule says with whom and at which ports', () => {
    const all = policies(objects)
    const namespaces = objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name)
    for (const namespace of namespaces) {
      const deny = all.find((policy) => policy.namespace === namespace && policy.name === 'default.deny')
      expect(deny?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [], egress: [] })
    }
    for (const { name, spec } of all) {
      expect(spec.policyTypes).toEqual(['Ingress', 'Egress'])
      for (const rule of [...spec.ingress, ...spec.egress]) {
        expect([name, (rule.ports ?? []).length > 0]).toEqual([name, true])
        // Only the gateway is open to everybody.
        const peers = rule.from ?? rule.to ?? []
        expect([name, peers.length > 0 || name === 'edge.gateway']).toEqual([name, true])
      }
    }
  })

  test('what is outside is the stand-in where there is one, and else never an address inside', () => {
    const bank = policies(objects).find(({ name }) => name === 'payments')?.spec.egress ?? []
    const rule = bank.find(({ to = [] }) => to.some((peer) => peer.ipBlock || peer.namespaceSelector))
    if (site.environment === 'kind') {
      expect(rule).toEqual({
        to: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'shop-outside' } },
            podSelector: { matchLabels: { app: 'bank' } },
          },
        ],
        ports: [{ protocol: 'TCP', port: 8080 }],
      })
    } else {
      expect(rule?.ports).toEqual([{ protocol: 'TCP', port: 443 }])
      expect(rule?.to?.[0]?.ipBlock?.except).toEqual(expect.arrayContaining(['10.0.0.0/8', '169.254.0.0/16']))
    }
  })
})
