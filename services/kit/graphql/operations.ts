import { createHash } from 'node:crypto'
import { GraphqlRefusal } from './errors.ts'
import type { GraphqlParams } from './params.ts'

/** The id of an operation's text: `sha256:` and 64 hexadecimal digits. */
export function documentIdOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** Gives the text of what is asked for. */
export type KnownOperations = (params: GraphqlParams) => { readonly text: string; readonly listed: boolean }

/**
 * The operations that somebody has looked at, by their texts. `open`: others are taken too.
 * @throws GraphqlRefusal from the function: `operation-unknown`, `operation-not-listed`
 */
export function knownOperations(texts: readonly string[], open: boolean): KnownOperations {
  const known = new Map(texts.map((text) => [documentIdOf(text), text]))
  const listed = new Set(texts)
  return ({ query, documentId }) => {
    if (documentId !== undefined) {
      const text = known.get(documentId)
      if (text === undefined) {
        throw new GraphqlRefusal('operation-unknown', 'No known operation has this document id: is the client newer?')
      }
      return { text, listed: true }
    }
    // A client that sends the text of a listed operation asks for nothing else than one that sends its id.
    if (query !== undefined && (open || listed.has(query))) return { text: query, listed: listed.has(query) }
    throw new GraphqlRefusal(
      'operation-not-listed',
      'Only listed operations are taken here: send a "documentId", which is "sha256:" and the hash of its text.',
    )
  }
}
