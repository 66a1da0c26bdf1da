import type { Manifest } from '#providers/manifest.ts'
import { type Health, health, healthOfKind } from '../health.ts'

/** When a custom resource is well, in the words of Flux: CEL over the object. A field that is not there yet means: wait. */
export type HealthCheck = {
  readonly apiVersion: string
  readonly kind: string
  readonly current: string
}

/** The checks of Flux for the kinds among these objects, in the order of their names. */
export function healthOf(objects: readonly Manifest[]): readonly HealthCheck[] {
  const there = new Map(objects.map(({ apiVersion, kind }) => [`${apiVersion}/${kind}`, { apiVersion, kind }]))
  return [...there.keys()].sort().flatMap((key) => {
    const { apiVersion, kind } = there.get(key) ?? { apiVersion: '', kind: '' }
    const check = healthOfKind(apiVersion, kind)
    return check ? [{ apiVersion, kind, current: celOf(check) }] : []
  })
}

/** The checks of Argo CD for every kind of the table, as keys of its ConfigMap, with what each one is: Lua over `obj`. */
export function healthCustomizations(): Readonly<Record<string, string>> {
  const entries = health.flatMap((each) =>
    each.kinds.map((kind): [string, string] => [`resource.customizations.health.${each.group}_${kind}`, luaOf(each)]),
  )
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function celOf({ conditions, fields = [], observed }: Health): string {
  const present = '(!has(e.observedGeneration) || e.observedGeneration == metadata.generation)'
  return [
    ...(observed ? ['status.observedGeneration == metadata.generation'] : []),
    ...conditions.map((type) => `status.conditions.exists(e, e.type == '${type}' && e.status == 'True' && ${present})`),
    ...fields.map((field) => `status.${field} == true`),
  ].join(' && ')
}

function luaOf({ conditions, fields = [], observed }: Health): string {
  const wanted = [...conditions.map((type) => `met["${type}"]`), ...fields.map((field) => `status.${field} == true`)]
  const lines = [
    'hs = { status = "Progressing", message = "" }',
    'local status = obj.status or {}',
    'local met = {}',
    'for _, c in ipairs(status.conditions or {}) do',
    '  local present = c.observedGeneration == nil or c.observedGeneration == obj.metadata.generation',
    '  if c.status == "True" and present then met[c.type] = true else hs.message = c.message or hs.message end',
    'end',
    ...(observed ? ['if status.observedGeneration ~= obj.metadata.generation then return hs end'] : []),
    `if ${wanted.join(' and ')} then`,
    '  hs.status = "Healthy"',
    '  hs.message = ""',
    'end',
    'return hs',
  ]
  return lines.map((line) => `${line}\n`).join('')
}
