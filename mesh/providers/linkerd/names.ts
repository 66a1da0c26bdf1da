import type { MethodRef } from '#plan/plan.ts'
import { labelsOf, type Site } from '#providers/cluster.ts'
import type { Metadata } from '#providers/manifest.ts'

/** A method's key in a service: the same however often it is referred to. */
export function methodKey({ verb, path }: Pick<MethodRef, 'verb' | 'path'>): string {
  return `${verb} ${path}`
}

/**
 * A readable name for each method of a service, by its key: the method's own where no other has it, otherwise with its
 * verb and path. Each is part of an object's name: lower case, digits, hyphens, at most 150 characters, none twice.
 */
export function methodNames(methods: readonly MethodRef[]): ReadonlyMap<string, string> {
  const distinct = new Map(methods.map((method) => [methodKey(method), method]))
  const counts = new Map<string, number>()
  for (const { name } of distinct.values()) counts.set(kebab(name), (counts.get(kebab(name)) ?? 0) + 1)
  const taken = new Set<string>()
  return new Map(
    [...distinct].map(([key, { name }]) => {
      const wanted = counts.get(kebab(name)) === 1 ? kebab(name) : kebab(`${name} ${key}`)
      return [key, free(wanted, taken)]
    }),
  )
}

/** Who an object is. What stands behind the service's name comes after a dot, which no service's name has. */
export function metadata(
  site: Site,
  service: string,
  name: string,
  annotations: Readonly<Record<string, string>> = {},
): Metadata {
  return {
    name,
    namespace: site.namespace,
    labels: labelsOf(site, service, 'policy'),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  }
}

function kebab(text: string): string {
  const words = text.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase()
  return (
    words
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, 150)
      .replace(/^-|-$/g, '') || 'method'
  )
}

function free(wanted: string, taken: Set<string>): string {
  let name = wanted
  for (let count = 2; taken.has(name); count++) name = `${wanted}-${count}`
  taken.add(name)
  return name
}
