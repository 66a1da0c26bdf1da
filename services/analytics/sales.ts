/** What a window of sales tells: pure. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { ClosedWindow } from '#kit/streaming/stream.ts'
import type { SalesWindowSchema } from '#proto/parley/analytics/v1/facts_pb.ts'
import { revenuePrefix } from './facts.ts'

/** The windows of sales: a minute each, ten seconds for events that are late. */
export const salesWindows = { sizeMs: 60_000, latenessMs: 10_000, idleMs: 10_000 } as const

type Counts = ClosedWindow['counts']

/** Of the orders that were decided, how many in ten thousand were cancelled; 0 where none was. */
function cancelledBasisPoints({ confirmed = 0n, cancelled = 0n }: Counts): number {
  const decided = confirmed + cancelled
  return decided === 0n ? 0 : Number((cancelled * 10_000n + decided / 2n) / decided)
}

function revenueOf(counts: Counts): readonly { readonly currency: string; readonly minorUnits: bigint }[] {
  return Object.entries(counts)
    .filter(([counter]) => counter.startsWith(revenuePrefix))
    .map(([counter, minorUnits]) => ({ currency: counter.slice(revenuePrefix.length), minorUnits }))
    .sort((a, b) => (a.currency < b.currency ? -1 : 1))
}

/** A window as it is published. */
export function publishedWindow({
  startsMs,
  endsMs,
  revision,
  counts,
}: ClosedWindow): MessageInitShape<typeof SalesWindowSchema> {
  const { placed = 0n, confirmed = 0n, cancelled = 0n } = counts
  return {
    window: new Date(startsMs).toISOString(),
    startsAt: timestampFromMs(startsMs),
    endsAt: timestampFromMs(endsMs),
    revision,
    placed,
    confirmed,
    cancelled,
    revenue: [...revenueOf(counts)],
    cancelledBasisPoints: cancelledBasisPoints(counts),
  }
}

/** A window as an operator sees it. Whole numbers are texts where they may exceed what JSON's readers hold. */
export function shownWindow({ counts }: ClosedWindow): object {
  const { placed = 0n, confirmed = 0n, cancelled = 0n } = counts
  return {
    ...{ placed: Number(placed), confirmed: Number(confirmed), cancelled: Number(cancelled) },
    revenue: revenueOf(counts).map(({ currency, minorUnits }) => ({ currency, minorUnits: String(minorUnits) })),
    cancelledPercent: cancelledBasisPoints(counts) / 100,
  }
}
