/** A distribution's release, as `/etc/os-release` tells it. */
export type Release = {
  readonly id: string
  /** Infinity for a rolling release, which has no number. */
  readonly version: number
  /** As people call it. */
  readonly title: string
}

const versionMin: Readonly<Record<string, number>> = { debian: 12, ubuntu: 22.04 }

export function releaseOf(osRelease: string): Release {
  const field = (name: string): string | undefined => new RegExp(`^${name}=(["']?)(.*)\\1$`, 'm').exec(osRelease)?.[2]
  const version = field('VERSION_ID')
  return {
    id: field('ID') ?? 'unknown',
    version: version === undefined ? Number.POSITIVE_INFINITY : Number.parseFloat(version),
    title: field('PRETTY_NAME') ?? 'an unknown system',
  }
}

/** Whether its packages are ones that Parley knows by name. */
export function isSupported({ id, version }: Release): boolean {
  const min = versionMin[id]
  return min !== undefined && version >= min
}
