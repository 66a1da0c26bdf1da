/** That Flux and Argo CD go on to the next wave when `parley apply` does. */
import { describe, expect, test } from '@jest/globals'
import { liveCases } from '#cluster/testdata/live.ts'
import { health, healthOfKind } from '../health.ts'
import { healthCustomizations, healthOf } from './health.ts'

const judged = liveCases.filter(({ object }) => healthOfKind(object.apiVersion, object.kind) !== null)

describe('in the words of Flux', () => {
  test.each(judged)('$what', ({ object, state }) => {
    const [check] = healthOf([object])
    expect(evaluate(check?.current ?? '', object)).toBe(state === 'ready')
  })
})

test('there is an object that is well for each row of the table, and one that is not', () => {
  const lacking = health.flatMap((row) => {
    const states = judged.filter(({ object }) => healthOfKind(object.apiVersion, object.kind) === row)
    return ['ready', 'waiting']
      .filter((wanted) => !states.some(({ state }) => state === wanted))
      .map((wanted) => `${row.group} ${row.kinds[0]}: ${wanted}`)
  })
  expect(lacking).toEqual([])
})

describe('in the words of Argo CD', () => {
  const told = healthCustomizations()

  test('every kind of the table', () => {
    expect(Object.keys(told)).toHaveLength(health.flatMap(({ kinds }) => kinds).length)
    expect(
      told['resource.customizations.health.gateway.networking.k8s.io_Gateway'],
    ).toBe(`hs = { status = "Progressing", message = "" }
local status = obj.status or {}
local met = {}
for _, c in ipairs(status.conditions or {}) do
  local present = c.observedGeneration == nil or c.observedGeneration == obj.metadata.generation
  if c.status == "True" and present then met[c.type] = true else hs.message = c.message or hs.message end
end
if met["Accepted"] and met["Programmed"] then
  hs.status = "Healthy"
  hs.message = ""
end
return hs
`)
  })

  test('a database, by a field of the present generation', () => {
    const text = told['resource.customizations.health.postgresql.cnpg.io_Database']
    expect(text).toContain('if status.observedGeneration ~= obj.metadata.generation then return hs end\n')
    expect(text).toContain('if status.applied == true then\n')
  })
})

/** CEL as far as it is written here, which reads as JavaScript but for its macros. A field that is absent is an error: not well. */
function evaluate(expression: string, { metadata, status }: (typeof judged)[number]['object']): boolean {
  const text = expression
    .replaceAll('.exists(e, ', '.some((e) => ')
    .replace(/has\(([a-zA-Z.]+)\)/g, '($1 !== undefined)')
    .replaceAll(' == ', ' === ')
  try {
    return new Function('metadata', 'status', `return ${text}`)(metadata, status)
  } catch (error) {
    if (error instanceof TypeError) return false
    throw error
  }
}
