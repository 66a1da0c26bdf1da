import type { Plan } from '#plan/plan.ts'
import { type Mesh, meshes, type Settings, type Site } from '#providers/cluster.ts'
import { problemsOf, readYaml, type Schema, withDefaults } from './schema.ts'

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

/** A list of operators that cannot be used. The message names each file, operator and field that is wrong. */
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
 * it: `operators.yaml`, `values/istiod.yaml`, `values/istiod.kind.yaml`. Throws an OperatorsError that names every field
 * which is unknown or wrong, and values that no operator takes.
 */
export function parseOperators(files: Readonly<Record<string, string>>, environment: Site['environment']): Operators {
  const value = read(files, 'operators.yaml')
  refuse(problemsOf(value, listSchema))
  const list = withDefaults(value, listSchema) as List
  refuse([...list.operators.flatMap((operator) => contradictions(operator, list)), ...unusedValues(files, list)])
  return {
    namespaces: Object.entries(list.namespaces).map(namespaceOf),
    operators: list.operators.map((operator) => operatorOf(operator, files, environment)),
  }
}

/** The list as it is written, with the defaults of what is left out. */
type List = {
  readonly namespaces: Readonly<Record<string, WrittenNamespace>>
  readonly operators: readonly WrittenOperator[]
}
type WrittenNamespace = Pick<OperatorNamespace, 'labels' | 'annotations'> & { readonly podSecurity: string }
type WrittenOperator = Omit<Operator, 'source' | 'ready'> & {
  readonly chart: { readonly repository: string; readonly name: string; readonly version: string } | null
  readonly manifests: boolean
  readonly environments: boolean
  readonly ready: readonly string[]
}

const text = (description: string, pattern = '.') => ({ type: 'string', description, pattern }) as const
const texts = (description: string) =>
  ({ type: 'object', description, additionalProperties: text('a text'), default: {} }) as const
const someOf = (names: readonly string[]) =>
  ({ type: 'string', description: names.join(', '), enum: names }) as const satisfies Schema
const listOf = (items: Schema, initial: readonly string[] = []) =>
  ({ type: 'array', description: `a list of ${items.description}`, items, default: initial }) as const satisfies Schema
const record = (description: string, properties: Readonly<Record<string, Schema>>, required: readonly string[]) =>
  ({ type: 'object', description, properties, required, additionalProperties: false }) as const satisfies Schema

const namespaceSchema = record(
  'a namespace: podSecurity, labels, annotations',
  {
    podSecurity: someOf(['restricted', 'baseline', 'privileged']),
    labels: texts('labels'),
    annotations: texts('annotations'),
  },
  ['podSecurity'],
)

const chartSchema = record(
  'a Helm chart: repository, name, version',
  {
    repository: text('https://… or oci://…', '^(https|oci)://'),
    name: text('the name of a chart'),
    version: text('a version'),
  },
  ['repository', 'name', 'version'],
)

const operatorSchema = record(
  'an operator',
  {
    name: text('a name'),
    chart: { ...chartSchema, type: ['object', 'null'], default: null },
    manifests: { type: 'boolean', description: 'true or false', default: false },
    environments: { type: 'boolean', description: 'true or false', default: false },
    app: text('a version, as a text'),
    namespace: { ...text('the name of a namespace'), type: ['string', 'null'], default: null },
    wave: { type: 'integer', description: 'a whole number' },
    meshes: listOf(someOf(meshes), meshes),
    for: listOf(someOf(needs)),
    crds: listOf(text('an API group')),
    ready: listOf(
      text('Deployment/<name>, DaemonSet/<name>, StatefulSet/<name>', '^(Deployment|DaemonSet|StatefulSet)/[^/]+$'),
    ),
  },
  ['name', 'app', 'wave'],
)

const listSchema = record(
  'namespaces and operators',
  {
    namespaces: { type: 'object', description: 'namespaces by name', additionalProperties: namespaceSchema },
    operators: listOf(operatorSchema),
  },
  ['namespaces', 'operators'],
)

function contradictions(
  { name, chart, manifests, environments, namespace }: WrittenOperator,
  { namespaces }: List,
): string[] {
  return [
    ...(environments && !manifests ? [`operators[${name}].environments: a chart has values of its own for each`] : []),
    ...((chart === null) === manifests ? [] : [`operators[${name}]: give it either \`chart\` or \`manifests: true\``]),
    ...(namespace === null || Object.hasOwn(namespaces, namespace)
      ? []
      : [`operators[${name}].namespace: is ${namespace}, which \`namespaces\` does not have`]),
  ]
}

function unusedValues(files: Readonly<Record<string, string>>, { operators }: List): readonly string[] {
  const charts = new Set(operators.filter(({ chart }) => chart !== null).map(({ name }) => name))
  return Object.keys(files)
    .filter((file) => file.startsWith('values/'))
    .filter((file) => !charts.has(/^values\/([^.]+)(?:\.(?:kind|production))?\.yaml$/.exec(file)?.[1] ?? ''))
    .map((file) => `${file}: no chart of operators.yaml takes these values`)
}

function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return
  const lines = problems.map((problem) => `  ${problem}`)
  throw new OperatorsError(`${operatorsDir}/operators.yaml cannot be used:\n${lines.join('\n')}`)
}

function namespaceOf([name, { podSecurity, labels, annotations }]: [string, WrittenNamespace]): OperatorNamespace {
  return {
    name,
    labels: {
      'pod-security.kubernetes.io/enforce': podSecurity,
      // The rules of a fixed release: an upgrade of the cluster refuses nothing overnight.
      'pod-security.kubernetes.io/enforce-version': 'v1.34',
      ...labels,
    },
    annotations,
  }
}

function operatorOf(
  { chart, manifests: _, environments, ready, ...written }: WrittenOperator,
  files: Readonly<Record<string, string>>,
  environment: Site['environment'],
): Operator {
  const { name } = written
  const layers = [`values/${name}.yaml`, `values/${name}.${environment}.yaml`].filter((file) => file in files)
  return {
    ...written,
    source:
      chart === null
        ? { kind: 'manifests', path: `${operatorsDir}/manifests/${name}${environments ? `/${environment}` : ''}` }
        : {
            kind: 'chart',
            repository: chart.repository,
            chart: chart.name,
            version: chart.version,
            values: layers.map((file) => valuesOf(files, file)).reduce(merge, {}),
          },
    ready: ready.map((workload) => {
      const [kind, own = ''] = workload.split('/')
      return { kind: kind as Operator['ready'][number]['kind'], name: own }
    }),
  }
}

type Fields = Readonly<Record<string, unknown>>

function valuesOf(files: Readonly<Record<string, string>>, file: string): Fields {
  const values = read(files, file) ?? {}
  if (!isRecord(values)) throw new OperatorsError(`${operatorsDir}/${file} is no map of values.`)
  return values
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

function read(files: Readonly<Record<string, string>>, file: string): unknown {
  const content = files[file]
  if (content === undefined) throw new OperatorsError(`${operatorsDir}/${file} is missing.`)
  return readYaml(content, (message) => new OperatorsError(`${operatorsDir}/${file} ${message}`))
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
