/** What of a foreign message can be kept: Postgres' text cannot hold the character 0, and an index no text without an end. */

const keyLengthMax = 512

/** A text as it can be stored: what Postgres cannot hold is replaced. */
export function storableText(value: string): string {
  return value.toWellFormed().replaceAll('\u0000', '\ufffd')
}

/** Why state, order or a place in line cannot be kept by a record's key; undefined where they can. */
export function keyProblem(key: string): string | undefined {
  if (key.length > keyLengthMax) return `the key has ${key.length} characters; ${keyLengthMax} can be kept`
  if (!key.isWellFormed() || key.includes('\u0000')) return 'the key has a character that the database cannot hold'
  return undefined
}

/** What is stored of a record's key: empty, as for none, where it cannot be. Nothing waits behind such a record. */
export function storedKey(key: string): string {
  return keyProblem(key) === undefined ? key : ''
}
