/** The hardening list, held against every pod of the shop in every environment and mesh. Each rule finds what breaks it. */
import { describe, expect, test } from '@jest/globals'
import type { Manifest } from '#providers/manifest.ts'
import { cases } from './testdata/cases.ts'
import { type Container, type Pod, podsIn, rules } from './testdata/hardening.ts'

const all = cases.flatMap(({ title, objects }) => podsIn(objects).map((pod) => ({ title, pod })))

test('there are pods to look at', () => {
  // Seven services, and on kind the bank and the mail server beside them.
  expect(all).toHaveLength(3 * 9 + 3 * 7)
})

describe.each(rules)('$name', ({ holds, broken }) => {
  test('for every pod', () => {
    const wrong = all.filter(({ pod }) => !holds(pod)).map(({ title, pod }) => `${title} ${pod.name}`)
    expect(wrong).toEqual([])
  })

  test.each(broken.map((change, index) => ({ index, change })))(
    'and a pod that breaks it is found ($index)',
    ({ change }) => {
      const pod = structuredClone(
        all.find((one) => one.pod.name === 'notifications' && one.title === 'production istio')?.pod,
      )
      if (!pod) throw new Error('there is no such pod')
      change(pod, pod.spec.containers[0] as Container)
      expect(holds(pod)).toBe(false)
    },
  )
})

const several = (objects: readonly Manifest[], kind: string) =>
  new Set(objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name))

describe.each(cases)('$title', ({ site, objects }) => {
  const pods = podsIn(objects)
  const inProduction = site.environment === 'production'

  test('several replicas have a disruption budget, and a number that nothing undoes', () => {
    const budgets = several(objects, 'PodDisruptionBudget')
    const scaled = several(objects, 'HorizontalPodAutoscaler')
    for (const pod of pods) {
      expect([pod.name, budgets.has(pod.name)]).toEqual([pod.name, inProduction])
      expect([pod.name, pod.replicas === undefined]).toEqual([pod.name, scaled.has(pod.name)])
      expect([pod.name, (pod.spec.topologySpreadConstraints ?? []).length]).toEqual([pod.name, inProduction ? 2 : 0])
    }
  })

  test('each pod has an account of its own, whose token is not mounted either', () => {
    const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount')
    expect(pods.map((pod) => pod.spec.serviceAccountName).sort()).toEqual(
      accounts.map(({ metadata }) => metadata.name).sort(),
    )
    expect(accounts.filter((account) => account.automountServiceAccountToken !== false)).toEqual([])
  })

  test('nothing asks for rights of the Kubernetes API, and nothing holds a secret', () => {
    const kinds = new Set(objects.map(({ kind }) => kind))
    for (const kind of ['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding', 'Secret'])
      expect(kinds).not.toContain(kind)
  })

  test('Pod Security is restricted in every namespace, and every namespaced object names one of them', () => {
    const namespaces = objects.filter(({ kind }) => kind === 'Namespace')
    for (const { metadata } of namespaces)
      expect(metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' })
    const known = new Set(namespaces.map(({ metadata }) => metadata.name))
    const lost = objects.filter(({ kind, metadata }) => kind !== 'Namespace' && !known.has(metadata.namespace ?? ''))
    expect(lost.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([])
  })
})

test('the selector of a Deployment is what its pods will always have', () => {
  for (const { title, pod } of all) {
    expect([title, pod.selector]).toEqual([title, { app: pod.name }])
    expect(pod.labels).toMatchObject(pod.selector)
  }
})

test('production runs images by digest', () => {
  const wrong = all.filter(
    ({ title, pod }: { title: string; pod: Pod }) =>
      title.startsWith('production') && !/@sha256:[0-9a-f]{64}$/.test(pod.spec.containers[0]?.image ?? ''),
  )
  expect(wrong).toEqual([])
})
