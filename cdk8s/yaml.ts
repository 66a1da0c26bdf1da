import type { Manifest } from '#providers/manifest.ts'

/**
 * Objects as YAML documents, each in its own field order. It writes the block style that a person reads, and quotes every text
 * that another YAML reader could take for anything else. Written here because a library takes ten times as long for a
 * thousand services; a test holds it against that library. Undefined fields are left out, as in JSON.
 */
export function toYaml(objects: readonly Manifest[]): string {
  return objects.map((object) => `---\n${mapping(object, '')}`).join('')
}

/** Plain scalars that no reader of YAML 1.1 or 1.2 takes for a number, a date, a boolean, null or syntax; quantities and times are such. */
const plain =
  /^(?:(?:\.{0,2}\/|[A-Za-z])[A-Za-z0-9_/.-]*(?:[:@=][A-Za-z0-9_/.-]+)*|[1-9][0-9]*(?:m|s|ms|h|d|Ki|Mi|Gi|%))$/
const words = /^(?:true|false|yes|no|on|off|y|n|null|nan|inf|e[-0-9._]*)$/i

function mapping(value: object, indent: string): string {
  let text = ''
  for (const key in value) {
    const field = (value as Record<string, unknown>)[key]
    if (field === undefined) continue
    text += `${indent}${scalar(key)}:${below(field, indent)}`
  }
  return text
}

function sequence(items: readonly unknown[], indent: string): string {
  let text = ''
  for (const item of items) text += `${indent}- ${inItem(item, `${indent}  `)}`
  return text
}

/** What stands behind a key: a scalar on its line, or a block below it. */
function below(value: unknown, indent: string): string {
  if (Array.isArray(value)) return value.length === 0 ? ' []\n' : `\n${sequence(value, `${indent}  `)}`
  if (typeof value === 'object' && value !== null) {
    const inner = mapping(value, `${indent}  `)
    return inner === '' ? ' {}\n' : `\n${inner}`
  }
  if (isBlock(value)) return ` |\n${block(value, `${indent}  `)}`
  return ` ${scalar(value)}\n`
}

/** What stands behind a dash: the first line begins where the dash left off. */
function inItem(value: unknown, indent: string): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]\n' : sequence(value, indent).slice(indent.length)
  if (typeof value === 'object' && value !== null) return mapping(value, indent).slice(indent.length) || '{}\n'
  return `${scalar(value)}\n`
}

function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return plain.test(value) && !words.test(value) ? value : JSON.stringify(value)
}

/** Texts of several plain lines that end with one line feed are shown as they are: files inside of ConfigMaps. */
function isBlock(value: unknown): value is string {
  return (
    typeof value === 'string' && /^[\x21-\x7e][\x20-\x7e]*\n(?:[\x20-\x7e]*\n)*$/.test(value) && !value.endsWith('\n\n')
  )
}

function block(text: string, indent: string): string {
  return text.replace(/^(?=.)/gm, indent)
}
