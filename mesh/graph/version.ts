/** One version of a REST interface. Dates are days, `2027-06-30`, and begin at midnight UTC. */
export type ApiVersion<Name extends string = string> = {
  /** Since when it should not be used any more (RFC 9745). */
  readonly deprecated?: string
  /** From when on it is not served any more (RFC 8594). */
  readonly sunset?: string
  /** The routes that it does not have. */
  readonly lacks?: readonly Name[]
}

/** The segment of a path that stands for a version. */
const segment = '/{version}'

/** A path without its version; null where it has none. */
export function unversionedPath(path: string): string | null {
  return `${path}/`.includes(`${segment}/`) ? path.replace(segment, '') : null
}

/** A path with one version in its place. */
export function versionedPath(path: string, version: string): string {
  return path.replace(segment, `/${version}`)
}

/** When a day begins, in milliseconds since 1970; NaN where the text is no day. */
export function dayMs(day: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN
  // The 31st of a month of 30 days is read as the 1st of the next.
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day ? Number.NaN : ms
}
