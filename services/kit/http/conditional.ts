/** Conditional requests (RFC 9110, section 13): an answer that the client has is not sent again, and nobody overwrites what they have not seen. */
import { createHash } from 'node:crypto'
import { invalidArgument } from '../errors.ts'
import { HttpRefusal } from './problem.ts'

type HeaderValue = string | readonly string[] | undefined

/** Whether the present state, by its entity tag or null where there is nothing yet, is the one that a request is made for. */
export type Precondition = (current: string | null) => boolean

/** A strong entity tag of what is written in an answer: the same contents, the same tag. */
export function entityTag(contents: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(contents)).digest('base64url').slice(0, 27)}"`
}

/**
 * What a request that changes something says of the state that it is made for: `If-Match` with the tag that was read, or
 * `If-None-Match: *` for something new.
 * @throws HttpRefusal `precondition-required` (428) where it says nothing
 * @throws ServiceError `invalid-argument` where that cannot be read
 */
export function readPrecondition(headers: Readonly<Record<string, HeaderValue>>): Precondition {
  const match = tagsOf('if-match', headers['if-match'])
  const noneMatch = tagsOf('if-none-match', headers['if-none-match'])
  if (match === undefined && noneMatch === undefined) {
    const next = 'Send if-match with the etag that was read, or if-none-match: * for something new.'
    throw new HttpRefusal('precondition-required', next)
  }
  // A weak tag says that two states mean the same, not that they are the same: none of them allows a change.
  const isOne = (tags: Tags, current: string) => tags === '*' || (tags.includes(current) && !current.startsWith('W/'))
  return (current) =>
    (match === undefined || (current !== null && isOne(match, current))) &&
    (noneMatch === undefined || current === null || !(noneMatch === '*' || noneMatch.some(sameAs(current))))
}

/** What a handler throws where the precondition does not hold. */
export function preconditionFailed(): HttpRefusal {
  return new HttpRefusal('precondition-failed', 'It was changed since; read it again and decide anew.')
}

/** Whether a client has the answer already: it named the answer's tag in `If-None-Match`, which is ignored where it is malformed. */
export function isNotModified(
  verb: string,
  ifNoneMatch: HeaderValue,
  { status, headers }: { readonly status: number; readonly headers?: Readonly<Record<string, string>> },
): boolean {
  const tag = headers?.etag
  if (tag === undefined || status !== 200 || (verb !== 'GET' && verb !== 'HEAD')) return false
  const known = parseTags(ifNoneMatch)
  return known !== undefined && known !== null && (known === '*' || known.some(sameAs(tag)))
}

type Tags = '*' | readonly string[]

function sameAs(tag: string): (other: string) => boolean {
  const opaque = tag.replace(/^W\//, '')
  return (other) => other.replace(/^W\//, '') === opaque
}

function tagsOf(name: string, given: HeaderValue): Tags | undefined {
  const tags = parseTags(given)
  if (tags !== null) return tags
  const message = `${name} holds *, or entity tags such as "3", in quotes.`
  throw invalidArgument(message, { field: `header:${name}`, code: 'format', message })
}

/** One or more entity tags; undefined where there are none, null where they cannot be read. */
function parseTags(given: HeaderValue): Tags | undefined | null {
  if (given === undefined) return undefined
  const text = [given].flat().join(',').trim()
  if (text === '*') return '*'
  const tags = text.split(',').map((tag) => tag.trim())
  // A comma may stand within a tag, but none of ours holds one.
  return tags.every((tag) => /^(W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/.test(tag)) ? tags : null
}
