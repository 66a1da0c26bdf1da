/** The hardening list, held against every pod that is rendered: every system, environment and mesh. Each rule finds what breaks it. */
import { describe, expect, test } from '@jest/globals'
import { observabilityNamespace } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { renderedCases } from '#test/fixtures/rendered.ts'
import { type Container, podsIn, rules } from './testdata/hardening.ts'

const cases = renderedCases()
const all = cases.flatMap(({ title, objects }) => podsIn(objects).map((pod) => ({ title, pod })))

test('there is a pod of every service, and on kind of every system outside that is played', () => {
  const expected = cases.flatMap(({ title, plan: { services, externals, environment } }) => [
    ...services.map(({ name }) => `${title} ${name}`),
    ...externals.filter(({ standIn }) => environment === 'kind' && standIn).map(({ name }) => `${title} ${name}`),
  ])
  expect(all.map(({ title, pod }) => `${title} ${pod.name}`).sort()).toEqual(expected.sort())
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
        all.find((one) => one.pod.name === 'notifications' && one.title === 'shop production istio')?.pod,
      )
      if (!pod) throw new Error('there is no such pod')
      change(pod, pod.spec.containers[0] as Container)
      expect(holds(pod)).toBe(false)
    },
  )
})

const several = (objects: readonly Manifest[], kind: string) =>
  new Set(objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name))

describe.each(cases)('$title', ({ plan, objects }) => {
  const pods = podsIn(objects)

  test('several replicas, as all have in production, have a disruption budget, are spread, and have a number that nothing undoes', () => {
    const budgets = several(objects, 'PodDisruptionBudget')
    const scaled = new Set([...several(objects, 'HorizontalPodAutoscaler'), ...several(objects, 'ScaledObject')])
    for (const pod of pods) {
      const isSeveral = scaled.has(pod.name) || (pod.replicas ?? 1) > 1
      if (plan.environment === 'production') expect([pod.name, isSeveral]).toEqual([pod.name, true])
      expect([pod.name, budgets.has(pod.name)]).toEqual([pod.name, isSeveral])
      expect([pod.name, pod.replicas === undefined]).toEqual([pod.name, scaled.has(pod.name)])
      expect([pod.name, (pod.spec.topologySpreadConstraints ?? []).length]).toEqual([pod.name, isSeveral ? 2 : 0])
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
    // That of observability belongs to the cluster, as its operators do.
    const known = new Set([...namespaces.map(({ metadata }) => metadata.name), observabilityNamespace])
    const lost = objects.filter(({ kind, metadata }) => kind !== 'Namespace' && !known.has(metadata.namespace ?? ''))
    expect(lost.map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`)).toEqual([])
  })
})

test('the image of the services goes by the digest that production’s settings name', () => {
  const images = all
    .filter(
      ({ title, pod }) =>
        title.startsWith('shop production') && pod.labels['app.kubernetes.io/component'] === 'service',
    )
    .map(({ pod }) => pod.spec.containers[0]?.image)
  expect(images.length).toBeGreaterThan(0)
  for (const image of images) expect(image).toMatch(/@sha256:[0-9a-f]{64}$/)
})
