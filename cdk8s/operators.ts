import { parseDocument } from 'yaml'
import type { Plan } from '#plan/plan.ts'
import { type Mesh, meshes, type Settings, type Site } from '#providers/cluster.ts'

/** What a system stands on: the whole list of `charts/operators/operators.yaml` with the values of one environment. */
export type Operators = {
  readonly namespaces: readonly OperatorNamespace[]
  readonly operators: readonly Operator[]
}

/** A namespace that operators run in. `labels` has the level of Pod Security that is enforced in it. */
export type OperatorNamespace = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** One thing to install. */
export type Operator = {
  readonly name: string
  readonly source: OperatorSource
  /** The version of what is installed, as its project counts it. */
  readonly app: string
  /** The namespace it runs in; null for one that only brings CRDs. */
  readonly namespace: string | null
  /** Each wave stands on the ones before it. */
  readonly wave: number
  readonly meshes: readonly Mesh[]
  /** A system that has not all of these does without. */
  readonly for: readonly Need[]
  /** API groups that it serves once it is there. */
  readonly crds: readonly string[]
  /** The workloads that must be available before the next wave begins. */
  readonly ready: readonly { readonly kind: 'Deployment' | 'DaemonSet' | 'StatefulSet'; readonly name: string }[]
}

/** A Helm chart with its values, or what kustomize builds of a folder of this repository. */
export type OperatorSource =
  | {
      readonly kind: 'chart'
      /** `https://…`, an index, or `oci://…`, to which the chart's name is appended. */
      readonly repository: string
      readonly chart: string
      readonly version: string
      readonly values: Readonly<Record<string, unknown>>
    }
  | { readonly kind: 'manifests'; readonly path: string }

/** What a system may need of the cluster beyond a mesh. */
export const needs = ['kafka', 'postgres', 'rabbitmq', 'lag'] as const
/** One of them; `lag` is scaling by consumer lag. */
export type Need = (typeof needs)[number]

/** A list of operators that cannot be used. The message names the file, the operator and the field. */
export class OperatorsError extends Error {
  override readonly name = 'OperatorsError'
}

/** The folder of the list, from the root of the repository. */
export const operatorsDir = 'charts/operators'

/** What a system needs, by what it declares and what its cluster's owners chose. */
export function needsOf(plan: Plan, settings: Settings): readonly Need[] {
  const has: Record<Need, boolean> = {
    kafka: plan.topics.length > 0,
    postgres: plan.stores.length > 0,
    rabbitmq: plan.queues.length > 0,
    lag: settings.keda,
  }
  return needs.filter((need) => has[need])
}

/** The operators for a mesh and what a system needs, in the order of their waves, each with the namespaces that they run in. */
export function operatorsFor({ namespaces, operators }: Operators, mesh: Mesh, has: readonly Need[]): Operators {
  const chosen = operators
    .filter((operator) => operator.meshes.includes(mesh) && operator.for.every((need) => has.includes(need)))
    .sort((a, b) => a.wave - b.wave || (a.name < b.name ? -1 : 1))
  const used = new Set(chosen.map(({ namespace }) => namespace))
  return { namespaces: namespaces.filter(({ name }) => used.has(name)), operators: chosen }
}

/**
 * Reads the list and the values of one environment. `files` are the texts of `charts/operators/` by their path inside of
 * it: `operators.yaml`, `values/istiod.yaml`, `values/istiod.kind.yaml`. Throws an OperatorsError at the first field that
 * is unknown or wrong, and for values that no operator takes.
 */
export function parseOperators(files: Readonly<Record<string, string>>, environment: Site['environment']): Operators {
  const file = 'operators.yaml'
  const list = record(read(files, file), file)
  known(list, ['namespaces', 'operators'], file)
  const namespaces = Object.entries(record(list.namespaces, `${file}: namespaces`)).map(([name, entry]) =>
    namespaceOf(name, record(entry, `${file}: namespaces.${name}`)),
  )
  const operators = array(list.operators, `${file}: operators`).map((entry, index) =>
    operatorOf(record(entry, `${file}: operators[${index}]`), files, environment),
  )
  for (const { name, namespace } of operators) {
    if (namespace !== null && !namespaces.some((one) => one.name === namespace)) {
      throw new OperatorsError(
        `${file}: ${name} runs in the namespace ${namespace}, which \`namespaces\` does not have.`,
      )
    }
  }
  nothingUnused(files, operators)
  return { namespaces, operators }
}

const levels = ['restricted', 'baseline', 'privileged']

function namespaceOf(name: string, entry: Fields): OperatorNamespace {
  const where = `operators.yaml: namespaces.${name}`
  known(entry, ['podSecurity', 'labels', 'annotations'], where)
  const level = text(entry.podSecurity, `${where}.podSecurity`)
  if (!levels.includes(level)) throw wrong(`${where}.podSecurity`, level, levels.join(', '))
  return {
    name,
    labels: {
      'pod-security.kubernetes.io/enforce': level,
      // The rules of a fixed release: an upgrade of the cluster refuses nothing overnight.
      'pod-security.kubernetes.io/enforce-version': 'v1.34',
      ...texts(entry.labels ?? {}, `${where}.labels`),
    },
    annotations: texts(entry.annotations ?? {}, `${where}.annotations`),
  }
}

const fields = ['name', 'chart', 'manifests', 'app', 'namespace', 'wave', 'meshes', 'for', 'crds', 'ready']

function operatorOf(
  entry: Fields,
  files: Readonly<Record<string, string>>,
  environment: Site['environment'],
): Operator {
  const name = text(entry.name, 'operators.yaml: name')
  const where = `operators.yaml: ${name}`
  known(entry, fields, where)
  if (!Number.isInteger(entry.wave)) throw wrong(`${where}.wave`, entry.wave, 'a whole number')
  return {
    name,
    source: sourceOf(name, entry, files, environment),
    app: text(entry.app, `${where}.app`),
    namespace: entry.namespace === undefined ? null : text(entry.namespace, `${where}.namespace`),
    wave: Number(entry.wave),
    meshes: oneOf(entry.meshes ?? meshes, meshes, `${where}.meshes`),
    for: oneOf(entry.for ?? [], needs, `${where}.for`),
    crds: array(entry.crds ?? [], `${where}.crds`).map((group) => text(group, `${where}.crds`)),
    ready: array(entry.ready ?? [], `${where}.ready`).map((workload) => workloadOf(workload, `${where}.ready`)),
  }
}

function sourceOf(
  name: string,
  { chart, manifests }: Fields,
  files: Readonly<Record<string, string>>,
  environment: Site['environment'],
): OperatorSource {
  const where = `operators.yaml: ${name}`
  if ((chart === undefined) === (manifests !== true)) {
    throw new OperatorsError(`${where}: give it either \`chart\` or \`manifests: true\`.`)
  }
  if (chart === undefined) return { kind: 'manifests', path: `${operatorsDir}/manifests/${name}` }
  const spec = record(chart, `${where}.chart`)
  known(spec, ['repository', 'name', 'version'], `${where}.chart`)
  const repository = text(spec.repository, `${where}.chart.repository`)
  if (!/^(https|oci):\/\//.test(repository))
    throw wrong(`${where}.chart.repository`, repository, 'https://… or oci://…')
  const layers = [`values/${name}.yaml`, `values/${name}.${environment}.yaml`].filter((file) => file in files)
  return {
    kind: 'chart',
    repository,
    chart: text(spec.name, `${where}.chart.name`),
    version: text(spec.version, `${where}.chart.version`),
    values: layers.map((file) => record(read(files, file) ?? {}, file)).reduce(merge, {}),
  }
}

/** As Helm lays values over one another: maps are merged, everything else is replaced. */
function merge(under: Fields, over: Fields): Fields {
  const merged = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const below = under[key]
    merged[key] = isRecord(below) && isRecord(value) ? merge(below, value) : value
  }
  return merged
}

function nothingUnused(files: Readonly<Record<string, string>>, operators: readonly Operator[]): void {
  const names = new Set(operators.filter(({ source }) => source.kind === 'chart').map(({ name }) => name))
  for (const file of Object.keys(files)) {
    const name = /^values\/([^.]+)(?:\.(?:kind|production))?\.yaml$/.exec(file)?.[1]
    if (file.startsWith('values/') && (name === undefined || !names.has(name))) {
      throw new OperatorsError(`${file}: no chart of operators.yaml takes these values.`)
    }
  }
}

function workloadOf(value: unknown, where: string): Operator['ready'][number] {
  const [kind, name, ...more] = text(value, where).split('/')
  if (
    name === undefined ||
    more.length > 0 ||
    (kind !== 'Deployment' && kind !== 'DaemonSet' && kind !== 'StatefulSet')
  ) {
    throw wrong(where, value, 'Deployment/<name>, DaemonSet/<name>, StatefulSet/<name>')
  }
  return { kind, name }
}

type Fields = Readonly<Record<string, unknown>>

function read(files: Readonly<Record<string, string>>, file: string): unknown {
  const content = files[file]
  if (content === undefined) throw new OperatorsError(`${operatorsDir}/${file} is missing.`)
  const document = parseDocument(content, { version: '1.2' })
  const [error] = document.errors
  if (error) throw new OperatorsError(`${operatorsDir}/${file} is no YAML: ${error.message}`)
  return document.toJS()
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function record(value: unknown, where: string): Fields {
  if (!isRecord(value)) throw wrong(where, value, 'a map')
  return value
}

function array(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(where, value, 'a list')
  return value
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string' || value === '') throw wrong(where, value, 'a text')
  return value
}

function texts(value: unknown, where: string): Readonly<Record<string, string>> {
  const entries = Object.entries(record(value, where))
  return Object.fromEntries(entries.map(([key, field]) => [key, text(field, `${where}.${key}`)]))
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], where: string): readonly T[] {
  return array(value, where).map((item) => {
    const found = allowed.find((one) => one === item)
    if (found === undefined) throw wrong(where, item, allowed.join(', '))
    return found
  })
}

function known(entry: Fields, allowed: readonly string[], where: string): void {
  const unknown = Object.keys(entry).find((field) => !allowed.includes(field))
  if (unknown !== undefined) {
    throw new OperatorsError(`${operatorsDir}/${where}: \`${unknown}\` is not known; allowed: ${allowed.join(', ')}.`)
  }
}

function wrong(where: string, value: unknown, allowed: string): OperatorsError {
  return new OperatorsError(`${operatorsDir}/${where} is ${JSON.stringify(value)}; allowed: ${allowed}.`)
}
