import type { ProcessSpec } from '../process.ts'

type Named = Pick<ProcessSpec, 'name' | 'kind' | 'needs'>

/** What a set of processes lacks to be started: a need that is not among them, a name given twice, a circle of needs. */
export function orderProblems(specs: readonly Named[]): string[] {
  const names = specs.map((spec) => spec.name)
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  const unknown = specs.flatMap((spec) =>
    spec.needs.filter((need) => !names.includes(need)).map((need) => `${spec.name} needs ${need}, which is not there`),
  )
  const circle = specs.filter((spec) => needsItself(spec, specs)).map((spec) => spec.name)
  return [
    ...twice.map((name) => `two processes are called ${name}`),
    ...unknown,
    ...(circle.length > 0 ? [`${circle.join(', ')} need one another in a circle`] : []),
  ]
}

/** Everything that must be usable before this process, directly or not. */
function allNeeds(spec: Named, specs: readonly Named[]): Set<string> {
  const found = new Set<string>()
  const visit = (needs: readonly string[]): void => {
    for (const need of needs) {
      if (found.has(need)) continue
      found.add(need)
      visit(specs.find((candidate) => candidate.name === need)?.needs ?? [])
    }
  }
  visit(spec.needs)
  return found
}

/**
 * Groups to be stopped one after the other, each at once: services first, so that they drain while all they use still
 * answers, then their sidecars, then stand-ins and parts. Within a kind, nobody is stopped before those who need it.
 */
export function stopWaves<S extends Named>(specs: readonly S[]): S[][] {
  const kinds: readonly (readonly ProcessSpec['kind'][])[] = [['service'], ['sidecar'], ['standin', 'part']]
  return kinds.flatMap((kind) => layers(specs.filter((spec) => kind.includes(spec.kind))))
}

function layers<S extends Named>(specs: readonly S[]): S[][] {
  const left = [...specs]
  const result: S[][] = []
  while (left.length > 0) {
    const free = left.filter((spec) => !left.some((other) => other.needs.includes(spec.name)))
    const layer = free.length > 0 ? free : [...left]
    result.push(layer)
    for (const spec of layer) left.splice(left.indexOf(spec), 1)
  }
  return result
}

/** The processes that one name stands for: a service with its sidecar, as a pod; a part or a single process by itself. */
export function membersOf<S extends Named>(specs: readonly S[], name: string): S[] {
  return specs.filter((spec) => spec.name === name || podOf(spec.name) === name)
}

/** The names that people may use: services, stand-ins and parts. Their sidecars go with them. */
export function podNames(specs: readonly Named[]): string[] {
  return [...new Set(specs.map((spec) => podOf(spec.name)))].sort()
}

/** `orders.sidecar` belongs to `orders`. */
export function podOf(name: string): string {
  return name.split('.')[0] ?? name
}

function needsItself(spec: Named, specs: readonly Named[]): boolean {
  return allNeeds(spec, specs).has(spec.name)
}
