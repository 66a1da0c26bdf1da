import type { Stack } from '#test/stack.ts'

/** A histogram as Prometheus writes it: how many observations were at most each bound, in order of the bounds. */
export type Histogram = readonly { readonly bound: number; readonly count: number }[]

/** Reads a histogram of a service through its sidecar, all its label sets added up. */
export async function readHistogram({ layout }: Stack, service: string, name: string): Promise<Histogram> {
  const { address, port } = layout.services[service]?.metrics ?? { address: '', port: 0 }
  const text = await (await fetch(`http://${address}:${port}/metrics`)).text()
  const counts = new Map<number, number>()
  for (const [, labels = '', value = '0'] of text.matchAll(new RegExp(`^${name}_bucket{(.*)} (\\S+)`, 'gm'))) {
    const bound = Number(labels.match(/le="([^"]+)"/)?.[1]?.replace('+Inf', 'Infinity'))
    counts.set(bound, (counts.get(bound) ?? 0) + Number(value))
  }
  return [...counts].map(([bound, count]) => ({ bound, count })).sort((a, b) => a.bound - b.bound)
}

/** Quantiles of what was observed between two readings, interpolated within a bucket as Prometheus does. */
export function histogramQuantile(after: Histogram, before: Histogram): (share: number) => number {
  const earlier = new Map(before.map(({ bound, count }) => [bound, count]))
  const buckets = after.map(({ bound, count }) => ({ bound, count: count - (earlier.get(bound) ?? 0) }))
  const total = buckets.at(-1)?.count ?? 0
  return (share) => {
    const rank = share * total
    const index = buckets.findIndex(({ count }) => count >= rank)
    const { bound, count } = buckets[index] ?? { bound: Number.NaN, count: 0 }
    const { bound: low, count: below } = buckets[index - 1] ?? { bound: 0, count: 0 }
    if (total === 0 || bound === Number.POSITIVE_INFINITY) return low || Number.NaN
    return low + ((bound - low) * (rank - below)) / Math.max(1, count - below)
  }
}
