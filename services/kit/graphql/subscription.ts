/** One thing that a subscription tells. A client that lost its connection goes on after `position`. */
export type Told<Value> = { readonly position: string; readonly value: Value }

type Stream = { readonly lastEventId: string | undefined; position: string | undefined }

/** By the context of its operation, which lives as long as the stream. */
const streams = new WeakMap<object, Stream>()

/** The resolver of a subscription's field. */
export type Subscription<Args, Context> = {
  readonly subscribe: (parent: unknown, args: Args, context: Context) => AsyncIterable<unknown>
  readonly resolve: (value: unknown) => unknown
}

/**
 * Makes a field of `Subscription` from a source. `source` is told after which position to go on: the one that the browser
 * sends when it comes back, otherwise what the client gave as `afterPosition`, otherwise undefined. It reads
 * `currentSignal()`, which aborts when the client goes away.
 */
export function subscription<Args extends { readonly afterPosition?: string | null }, Context extends object, Value>(
  source: (args: Args, context: Context, after: string | undefined) => AsyncIterable<Told<Value>>,
): Subscription<Args, Context> {
  return {
    async *subscribe(_parent, args, context) {
      const stream = streams.get(context)
      for await (const { position, value } of source(
        args,
        context,
        stream?.lastEventId ?? args.afterPosition ?? undefined,
      )) {
        if (stream) stream.position = position
        yield value
      }
    },
    resolve: (value) => value,
  }
}

/** Begins a stream of an operation, by its context. */
export function beginStream(context: object, lastEventId: string | undefined): void {
  streams.set(context, { lastEventId, position: undefined })
}

/** The position of what the stream told last. Results are made one by one as they are read, so it is that of the last result. */
export function positionOf(context: object): string | undefined {
  return streams.get(context)?.position
}
