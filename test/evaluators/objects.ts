import { isDeepStrictEqual } from 'node:util'
import type { Manifest } from '#providers/manifest.ts'

/** Labels of a pod or a namespace. */
export type Labels = Readonly<Record<string, string>>

/** A pod as policies see it: where it is, what it is labelled and annotated with, and who it is. */
export type Pod = {
  readonly namespace: string
  readonly labels: Labels
  readonly annotations: Labels
  readonly serviceAccount: string
}

/** The fields of an object that nobody has given a type. */
// biome-ignore lint/suspicious/noExplicitAny: an evaluator reads what another program wrote, as that program's users would.
export type Loose = any

/** A construct that an evaluator has no meaning for. It must not be passed over: it may open or close something. */
export class NotUnderstood extends Error {
  override readonly name = 'NotUnderstood'
}

/** All objects of a kind. The group distinguishes kinds of one name; that of Kubernetes' oldest kinds is `v1`. */
export function ofKind(objects: readonly Manifest[], group: string, kind: string): readonly Loose[] {
  let kinds = known.get(objects)
  if (!kinds) {
    kinds = Map.groupBy(objects, (object) => `${object.apiVersion.split('/')[0]} ${object.kind}`)
    known.set(objects, kinds)
  }
  return kinds.get(`${group} ${kind}`) ?? []
}

/** Evaluators ask for the same objects once a request. */
const known = new WeakMap<readonly Manifest[], ReadonlyMap<string, readonly Manifest[]>>()

/** What follows from objects and a pod alone, worked out once: evaluators are asked for every identity, and most of it is the same for all. */
export function once<T>(objects: readonly Manifest[], pod: Pod, key: string, make: () => T): T {
  const ofPods = worked.get(objects) ?? new WeakMap<Pod, Map<string, unknown>>()
  worked.set(objects, ofPods)
  const ofPod = ofPods.get(pod) ?? new Map<string, unknown>()
  ofPods.set(pod, ofPod)
  if (!ofPod.has(key)) ofPod.set(key, make())
  return ofPod.get(key) as T
}

const worked = new WeakMap<readonly Manifest[], WeakMap<Pod, Map<string, unknown>>>()

/** Throws NotUnderstood when an object has a field beside these. */
export function only(value: object, what: string, ...known: readonly string[]): void {
  const strange = Object.keys(value).filter((key) => !known.includes(key))
  if (strange.length > 0) throw new NotUnderstood(`${what} has ${strange.join(', ')}, which no evaluator understands`)
}

/** Whether a Kubernetes label selector selects these labels. An empty one selects all. */
export function selects(selector: Loose, labels: Labels): boolean {
  only(selector, 'A selector', 'matchLabels', 'matchExpressions')
  const equal = Object.entries(selector.matchLabels ?? {}).every(([name, value]) => labels[name] === value)
  return equal && (selector.matchExpressions ?? []).every((expression: Loose) => expressionHolds(expression, labels))
}

function expressionHolds({ key, operator, values = [] }: Loose, labels: Labels): boolean {
  switch (operator) {
    case 'In':
      return values.includes(labels[key])
    case 'NotIn':
      return !values.includes(labels[key])
    case 'Exists':
      return labels[key] !== undefined
    case 'DoesNotExist':
      return labels[key] === undefined
    default:
      throw new NotUnderstood(`A selector has the operator ${operator}`)
  }
}

/** The pods that Deployments make, each by the name of its Deployment. */
export function podsOf(objects: readonly Manifest[]): ReadonlyMap<string, Pod> {
  const pods = ofKind(objects, 'apps', 'Deployment').map(({ metadata, spec }): [string, Pod] => [
    metadata.name,
    {
      namespace: metadata.namespace,
      labels: spec.template.metadata.labels ?? {},
      annotations: spec.template.metadata.annotations ?? {},
      serviceAccount: spec.template.spec.serviceAccountName ?? 'default',
    },
  ])
  return new Map(pods)
}

/** Objects without those that equal one of the given: what a mutation of a test leaves. */
export function without(objects: readonly Manifest[], ...removed: readonly Manifest[]): readonly Manifest[] {
  return objects.filter((object) => !removed.some((other) => isDeepStrictEqual(object, other)))
}
