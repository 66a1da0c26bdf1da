import type { Manifest } from '#providers/manifest.ts'
import { toYaml } from '../yaml.ts'
import { agree, type Case, type Choice, divide, textOf } from './cases.ts'

/**
 * One object in all its cases as the text of a template, tokens still in it: what all cases share stands once, and what
 * differs stands in conditions around the smallest part that differs.
 */
export function objectTemplate(cases: readonly Case[], choices: readonly Choice[]): string {
  return guarded(cases, choices, (there) => ['---', ...fields(there, choices, '')]).join('\n')
}

type Lines = readonly string[]

/** Writes the cases that are there, inside of the conditions under which they are. */
function guarded(cases: readonly Case[], choices: readonly Choice[], write: (there: readonly Case[]) => Lines): Lines {
  if (cases.every(({ value }) => value === undefined)) return []
  if (cases.every(({ value }) => value !== undefined)) return write(cases)
  return branched(cases, choices, (branch) => guarded(branch, choices, write))
}

function branched(
  cases: readonly Case[],
  choices: readonly Choice[],
  write: (branch: readonly Case[]) => Lines,
): Lines {
  const branches = divide(cases, choices)
    .map(({ conditions, cases: under }) => ({ conditions, lines: write(under) }))
    .filter(({ lines }) => lines.length > 0)
  const whole = divide(cases, choices).length === branches.length
  return branches.flatMap(({ conditions, lines }, index) => {
    const last = index === branches.length - 1
    const only = index > 0 && last && whole ? 'else' : `${index > 0 ? 'else if' : 'if'} ${eitherOf(conditions)}`
    return [`{{- ${only} }}`, ...lines, ...(last ? ['{{- end }}'] : [])]
  })
}

function eitherOf(conditions: readonly string[]): string {
  return conditions.length === 1 ? (conditions[0] ?? '') : `or ${conditions.map((each) => `(${each})`).join(' ')}`
}

function fields(cases: readonly Case[], choices: readonly Choice[], indent: string): Lines {
  const keys = merged(cases.map(({ value }) => Object.keys(value as object))) ?? unordered(cases)
  return joined(keys.map((key) => guarded(within(cases, key), choices, (there) => field(key, there, choices, indent))))
}

/** Neighbours under the same condition stand in it together. */
function joined(blocks: readonly Lines[]): Lines {
  const result: string[] = []
  let open = ''
  for (const block of blocks) {
    const [first = ''] = block
    const single = first.startsWith('{{- if ') && endOf(block) === block.length - 1 ? first : ''
    if (single !== '' && single === open) result.splice(-1, 1, ...block.slice(1))
    else result.push(...block)
    if (block.length > 0) open = single
  }
  return result
}

/** Where the condition that a block begins with ends, or has an alternative. */
function endOf(block: Lines): number {
  let depth = 0
  return block.findIndex((line) => {
    if (line.startsWith('{{- if ')) depth++
    if (depth === 1 && line.startsWith('{{- else')) return true
    if (line === '{{- end }}') depth--
    return depth === 0
  })
}

function field(key: string, cases: readonly Case[], choices: readonly Choice[], indent: string): Lines {
  const name = nameOf(key)
  if (agree(cases)) return plain({ [key]: cases[0]?.value }, indent)
  if (cases.every(({ value }) => isMap(value))) return [`${indent}${name}:`, ...fields(cases, choices, `${indent}  `)]
  const items = itemsOf(cases)
  if (items) {
    return [
      `${indent}${name}:`,
      ...joined(items.map((item) => guarded(item, choices, (there) => listItem(there, choices, `${indent}  `)))),
    ]
  }
  return branched(cases, choices, (branch) => field(key, branch, choices, indent))
}

function listItem(cases: readonly Case[], choices: readonly Choice[], indent: string): Lines {
  if (agree(cases)) return plain([cases[0]?.value], indent)
  return [`${indent}-`, ...fields(cases, choices, `${indent}  `)]
}

/** The items of lists, each with its cases, where they can be told apart by name and stand in one order; else undefined. */
function itemsOf(cases: readonly Case[]): readonly (readonly Case[])[] | undefined {
  const keyed = cases.map(({ answers, value }) => ({ answers, items: keyedItems(value) }))
  if (keyed.some(({ items }) => items.size === 0)) return undefined
  const order = merged(keyed.map(({ items }) => [...items.keys()]))
  return order?.map((key) => keyed.map(({ answers, items }) => ({ answers, value: items.get(key) })))
}

/** A list by the keys of its items; empty where it is no list, or two items have one key. */
function keyedItems(value: unknown): ReadonlyMap<string, unknown> {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  const items = new Map(list.map((item) => [keyOf(item), item]))
  return items.size === list.length ? items : new Map()
}

/** Items with a name are the same item in every case; others only where they are equal. */
function keyOf(item: unknown): string {
  return isMap(item) && 'name' in item && typeof item.name === 'string' ? `name ${item.name}` : textOf(item)
}

function within(cases: readonly Case[], key: string): readonly Case[] {
  return cases.map(({ answers, value }) => ({ answers, value: (value as Readonly<Record<string, unknown>>)[key] }))
}

/** Several orders as one that keeps each of them; undefined where two of them contradict. */
function merged(orders: readonly (readonly string[])[]): readonly string[] | undefined {
  const rest = [...new Set(orders.map((order) => order.join('\n')))].map((order) =>
    order.split('\n').filter((key) => key !== ''),
  )
  const result: string[] = []
  while (rest.some((order) => order.length > 0)) {
    const heads = rest.flatMap(([head]) => (head === undefined ? [] : [head]))
    const next = heads.find((head) => rest.every((order) => order.indexOf(head) <= 0))
    if (next === undefined) return undefined
    result.push(next)
    for (const order of rest) if (order[0] === next) order.shift()
  }
  return result
}

/** The order of keys in a map means nothing, so any will do. */
function unordered(cases: readonly Case[]): readonly string[] {
  return [...new Set(cases.flatMap(({ value }) => Object.keys(value as object)))]
}

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
}

function plain(value: unknown, indent: string): Lines {
  // A list is written below a key of one letter, which is left out again with its line.
  const text = Array.isArray(value) ? toYaml([{ x: value } as unknown as Manifest]) : toYaml([value as Manifest])
  const lines = text.split('\n').slice(Array.isArray(value) ? 2 : 1, -1)
  const stripped = Array.isArray(value) ? lines.map((line) => line.slice(2)) : lines
  return stripped.map((line) => (line === '' ? '' : `${indent}${literal(line)}`))
}

/** Whatever looks like an action of a template stays as it is, as in alert texts and legends. */
function literal(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}')
}

function nameOf(key: string): string {
  return literal((toYaml([{ [key]: 0 } as unknown as Manifest]).split('\n')[1] ?? '').slice(0, -': 0'.length))
}
