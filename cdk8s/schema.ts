/**
 * The part of JSON Schema (draft 7) that files of this repository are held against. What is wrong is told all at once, each
 * problem with its path.
 */
import { parseDocument } from 'yaml'

/** `description` says in plain words what is allowed; messages quote it. */
export type Schema = {
  readonly type: SchemaType | readonly [SchemaType, 'null']
  readonly description: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  /** false: nothing but `properties`; a schema: any further name that `propertyNames` admits; absent: anything. */
  readonly additionalProperties?: false | Schema
  readonly propertyNames?: NameSchema
  readonly items?: Schema
  readonly uniqueItems?: boolean
}
type SchemaType = 'object' | 'array' | 'string' | 'integer' | 'boolean'

/** What a name in a map may be; `description` completes "is no …". */
type NameSchema = {
  readonly description: string
  readonly pattern?: string
  readonly enum?: readonly string[]
}

/** Reads YAML. `wrong` makes the error of what is thrown for a text that is none. */
export function readYaml(text: string, wrong: (message: string) => Error): unknown {
  const document = parseDocument(text, { version: '1.2' })
  const [error] = document.errors
  if (error) throw wrong(`is no YAML: ${error.message}`)
  return document.toJS()
}

/** Everything in which a value is not what a schema says, a line each; empty where it is. */
export function problemsOf(value: unknown, schema: Schema, path = ''): readonly string[] {
  if (value === null && schema.type.includes('null')) return []
  if (!isOfType(value, schema)) return [wrong(path, value, schema)]
  if (Array.isArray(value)) return arrayProblems(value, schema, path)
  if (typeof value === 'object' && value !== null) return objectProblems(value, schema, path)
  return fits(value, schema) ? [] : [wrong(path, value, schema)]
}

/** A value with the defaults of what it lacks, in the order of the schema, so that the order of a file changes nothing. */
export function withDefaults(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value))
    return schema.items ? value.map((item) => withDefaults(item, schema.items as Schema)) : value
  if (typeof value !== 'object' || value === null) return value
  const given: Readonly<Record<string, unknown>> = { ...value }
  const { properties, additionalProperties } = schema
  if (!properties) {
    if (!additionalProperties) return value
    return Object.fromEntries(
      Object.entries(given).map(([name, field]) => [name, withDefaults(field, additionalProperties)]),
    )
  }
  return Object.fromEntries(
    Object.entries(properties).map(([name, own]) => [
      name,
      withDefaults(Object.hasOwn(given, name) ? given[name] : own.default, own),
    ]),
  )
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

function fits(value: unknown, schema: Schema): boolean {
  if (schema.enum && !schema.enum.includes(value)) return false
  const { pattern, maxLength, minimum, maximum } = schema
  if (typeof value === 'string') {
    return (pattern === undefined || new RegExp(pattern).test(value)) && value.length <= (maxLength ?? value.length)
  }
  return typeof value !== 'number' || (value >= (minimum ?? value) && value <= (maximum ?? value))
}

function arrayProblems(values: readonly unknown[], schema: Schema, path: string): readonly string[] {
  const twice = schema.uniqueItems && new Set(values).size < values.length
  const inside = schema.items
    ? values.flatMap((value, index) => problemsOf(value, schema.items as Schema, `${path}[${nameOf(value) ?? index}]`))
    : []
  return twice ? [`${path}: names one thing twice; allowed: ${schema.description}`, ...inside] : inside
}

/** An item is told from others by its name, where it has one. */
function nameOf(value: unknown): string | null {
  const named = typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string'
  return named ? String(value.name) : null
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
  const { additionalProperties: further } = schema
  if (further === undefined) return []
  if (further === false) {
    const allowed = Object.keys(schema.properties ?? {}).join(', ')
    return [`${join(path, name)}: is not known; allowed here: ${allowed}`]
  }
  const wrongName = nameProblems(name, schema, path)
  return wrongName.length > 0 ? wrongName : problemsOf(field, further, join(path, name))
}

/** What is wrong with a name in a map, apart from what it names. */
export function nameProblems(name: string, { propertyNames: names, description }: Schema, path: string): string[] {
  if (!names) return []
  const admitted = new RegExp(names.pattern ?? '').test(name) && (names.enum?.includes(name) ?? true)
  if (admitted) return []
  const allowed = names.enum ? names.enum.join(', ') || 'none, for there are none' : description
  return [`${join(path, name)}: is no ${names.description}; allowed: ${allowed}`]
}

function wrong(path: string, value: unknown, { description }: Schema): string {
  return `${path || 'the file'}: is ${JSON.stringify(value) ?? 'empty'}; allowed: ${description}`
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
