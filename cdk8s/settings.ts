import { parseDocument } from 'yaml'
import type { Settings } from '#providers/cluster.ts'
import { type Schema, settingsSchema } from './settings-schema.ts'

/** A settings file that cannot be used. The message names the file, and each field with what it may hold. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

/**
 * Reads the settings of an environment from YAML. Fields that are absent get their defaults. Throws a SettingsError that
 * names every wrong or unknown field at once; `file` is only for its message.
 */
export function parseSettings(text: string, file: string): Settings {
  const document = parseDocument(text, { version: '1.2' })
  const [error] = document.errors
  if (error) throw new SettingsError(`${file} is no YAML: ${error.message}`)
  const value: unknown = document.toJS()
  const problems = problemsOf(value, settingsSchema, '')
  if (problems.length > 0) {
    throw new SettingsError(`${file} cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  }
  return withDefaults(value, settingsSchema) as Settings
}

function problemsOf(value: unknown, schema: Schema, path: string): readonly string[] {
  if (value === null && schema.type.includes('null')) return []
  if (!isOfType(value, schema)) return [wrong(path, value, schema)]
  if (Array.isArray(value)) return arrayProblems(value, schema, path)
  if (typeof value === 'object' && value !== null) return objectProblems(value, schema, path)
  return fits(value, schema) ? [] : [wrong(path, value, schema)]
}

function isOfType(value: unknown, { type }: Schema): boolean {
  switch (typeof type === 'string' ? type : type[0]) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'array':
      return Array.isArray(value)
    case 'string':
      return typeof value === 'string'
    case 'integer':
      return Number.isInteger(value)
    case 'boolean':
      return typeof value === 'boolean'
  }
}

function fits(value: unknown, { pattern, maxLength, minimum, maximum }: Schema): boolean {
  if (typeof value === 'string') {
    return (pattern === undefined || new RegExp(pattern).test(value)) && value.length <= (maxLength ?? value.length)
  }
  return typeof value !== 'number' || (value >= (minimum ?? value) && value <= (maximum ?? value))
}

function arrayProblems(values: readonly unknown[], schema: Schema, path: string): readonly string[] {
  const twice = schema.uniqueItems && new Set(values).size < values.length
  const inside = schema.items
    ? values.flatMap((value, index) => problemsOf(value, schema.items as Schema, `${path}[${index}]`))
    : []
  return twice ? [`${path}: names one thing twice; allowed: ${schema.description}`, ...inside] : inside
}

function objectProblems(value: object, schema: Schema, path: string): readonly string[] {
  const known = schema.properties ?? {}
  const missing = (schema.required ?? [])
    .filter((name) => !Object.hasOwn(value, name))
    .map((name) => `${join(path, name)}: is missing; allowed: ${known[name]?.description}`)
  const inside = Object.entries(value).flatMap(([name, field]) => {
    const own = Object.hasOwn(known, name) ? known[name] : undefined
    return own ? problemsOf(field, own, join(path, name)) : furtherProblems(name, field, schema, path)
  })
  return [...missing, ...inside]
}

function furtherProblems(name: string, field: unknown, schema: Schema, path: string): readonly string[] {
  const further = schema.additionalProperties
  if (!further) {
    const allowed = Object.keys(schema.properties ?? {}).join(', ')
    return [`${join(path, name)}: is not known; allowed here: ${allowed}`]
  }
  if (schema.propertyNames && !new RegExp(schema.propertyNames.pattern).test(name)) {
    return [`${join(path, name)}: is no name of a service or an exposure; allowed: ${schema.description}`]
  }
  return problemsOf(field, further, join(path, name))
}

function wrong(path: string, value: unknown, { description }: Schema): string {
  return `${path || 'the file'}: is ${JSON.stringify(value) ?? 'empty'}; allowed: ${description}`
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

/** In the order of the schema, so that the order of a file changes nothing. */
function withDefaults(value: unknown, schema: Schema): unknown {
  if (typeof value !== 'object' || value === null || !schema.properties) return value
  const given: Readonly<Record<string, unknown>> = { ...value }
  return Object.fromEntries(
    Object.entries(schema.properties).map(([name, own]) => [
      name,
      withDefaults(Object.hasOwn(given, name) ? given[name] : own.default, own),
    ]),
  )
}
