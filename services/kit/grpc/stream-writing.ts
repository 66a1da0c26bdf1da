import type { Writable } from 'node:stream'

/** Writes messages no faster than the other side reads; returns early once the stream is closed, and throws the signal's reason. */
export async function writeAll<T>(
  stream: Writable,
  messages: AsyncIterable<T>,
  encode: (message: T) => unknown,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) throw signal.reason
    if (stream.destroyed) return
    if (!stream.write(encode(message))) await room(stream, signal)
  }
  // A source that was told to stop may end as if that were all there is.
  if (signal.aborted) throw signal.reason
  stream.end()
}

function room(stream: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const proceed = () => {
      stream.off('drain', proceed).off('close', proceed)
      signal.removeEventListener('abort', proceed)
      resolve()
    }
    stream.on('drain', proceed).on('close', proceed)
    signal.addEventListener('abort', proceed)
  })
}
