import type { Answer } from './row.ts'

/** What of an answer is worth reading. By default its whole body, and no header. */
export type Worth = { readonly headers?: readonly string[]; readonly fields?: readonly string[] }

/** An answer in a line: its status, the headers that matter, and of its body the fields that matter. A problem says its detail. */
export function answerInWords(
  { status, headers, body }: Answer<unknown>,
  { headers: named = [], fields }: Worth,
): string {
  const said = named.flatMap((name) => (headers.has(name) ? [`${name}: ${headers.get(name)}`] : []))
  return [String(status), ...said, ...(body === '' ? [] : [bodyInWords(body, fields)])].join('  ')
}

function bodyInWords(body: unknown, fields: Worth['fields']): string {
  if (isProblem(body)) return `${body.code}: ${body.detail}`
  if (fields === undefined || typeof body !== 'object' || body === null) return JSON.stringify(body)
  const kept = Object.entries(body).filter(([name]) => fields.includes(name))
  const text = JSON.stringify(Object.fromEntries(kept))
  return kept.length === Object.keys(body).length ? text : text.replace(/}$/, ',…}')
}

function isProblem(body: unknown): body is { readonly code: string; readonly detail: string } {
  return typeof body === 'object' && body !== null && 'type' in body && 'code' in body && 'detail' in body
}
