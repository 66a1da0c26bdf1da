import type { Manifest } from '#providers/manifest.ts'

/** Names of objects: a DNS-1123 subdomain. */
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/
const key =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/
/** Kinds whose names are labels, for they become names in DNS or labels of others. */
const labelKinds = new Set(['Service', 'Namespace'])

/** What an API server would refuse of any kind, and what it would silently take for something else; one line a problem. */
export function structuralProblems(objects: readonly Manifest[]): readonly string[] {
  return [...objects.flatMap(problemsOf), ...twice(objects)]
}

function problemsOf(object: Manifest): readonly string[] {
  const { kind, metadata } = object
  const where = `${kind} ${metadata.namespace ?? ''}/${metadata.name}`
  return [
    ...nameProblems(object),
    ...(metadata.namespace === undefined || fits(metadata.namespace, label, 63) ? [] : ['its namespace is no label']),
    ...Object.keys(metadata.annotations ?? {}).flatMap((name) => (key.test(name) ? [] : [`annotation ${name}`])),
    // Those of an alert are Prometheus' own, which have no such bounds.
    ...labelMaps(kind === 'PrometheusRule' ? object.metadata : object, ''),
    ...valueProblems(object, ''),
  ].map((problem) => `${where}: ${problem}`)
}

function nameProblems({ kind, metadata: { name } }: Manifest): readonly string[] {
  if (!fits(name, subdomain, 253)) return ['its name is no DNS-1123 subdomain']
  return labelKinds.has(kind) && !fits(name, label, 63) ? ['its name is no DNS-1123 label'] : []
}

/** Labels wherever they stand: an object's own, those of its templates, and those that selectors look for. */
function labelMaps(value: unknown, path: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    const at = `${path}.${name}`
    const here = /^(labels|matchLabels|podLabels)$/.test(name) && isTexts(inner) ? labelProblems(inner, at) : []
    return [...here, ...labelMaps(inner, at)]
  })
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return typeof value === 'object' && value !== null && Object.values(value).every((text) => typeof text === 'string')
}

function labelProblems(labels: Readonly<Record<string, string>>, path: string): readonly string[] {
  return Object.entries(labels)
    .filter(([name, value]) => !key.test(name) || !fits(value, labelValue, 63))
    .map(([name, value]) => `${path} ${name}: ${value}`)
}

/** JSON has no place for these, and YAML would write a word. */
function valueProblems(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) =>
      item === undefined ? [`${path}[${index}] is undefined`] : valueProblems(item, `${path}[${index}]`),
    )
  }
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? [] : [`${path} is ${value}`]
    case 'string':
      return /\bundefined\b|\bNaN\b|\[object /.test(value) ? [`${path} says ${value}`] : []
    case 'object':
      return Object.entries(value ?? {}).flatMap(([name, inner]) => valueProblems(inner, `${path}.${name}`))
    case 'undefined':
    case 'boolean':
      return []
    default:
      return [`${path} is a ${typeof value}`]
  }
}

function twice(objects: readonly Manifest[]): readonly string[] {
  const groups = Map.groupBy(
    objects,
    ({ apiVersion, kind, metadata }) =>
      `${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''} ${kind} ${metadata.namespace ?? ''}/${metadata.name}`,
  )
  return [...groups].filter(([, all]) => all.length > 1).map(([name, all]) => `${name}: ${all.length} times`)
}

function fits(text: string, pattern: RegExp, lengthMax: number): boolean {
  return text.length <= lengthMax && pattern.test(text)
}
