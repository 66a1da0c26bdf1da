import { closeSync, copyFileSync, fstatSync, openSync, readSync, statSync, truncateSync } from 'node:fs'

/** A log keeps this much, and once more in the file beside it that ends in `.1`. */
const logBytesMax = 10 * 1024 * 1024

/**
 * Bounds a log that a process holds open: what is in it is copied to `<file>.1` and the file is emptied. The process
 * goes on appending, so no line is cut in two, but one written during the copy may be lost.
 */
export function rotate(file: string, bytesMax = logBytesMax): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < bytesMax) return
  copyFileSync(file, `${file}.1`)
  truncateSync(file, 0)
}

const tailBytesMax = 256 * 1024

/** The last lines of a log, of those from a place on; none when there is no such file. */
export function lastLines(file: string, lines: number, start = 0): string[] {
  const size = statSync(file, { throwIfNoEntry: false })?.size
  if (size === undefined) return []
  const tail = Math.max(0, size - tailBytesMax)
  const { text, from } = readFrom(file, Math.max(start > size ? 0 : start, tail))
  const all = text.split('\n').filter((line) => line.trim() !== '')
  // The first line may be a part of one.
  return (from > 0 && from === tail ? all.slice(1) : all).slice(-lines)
}

/** What a file holds from a place on, and where the next read continues. */
export function readFrom(
  file: string,
  start: number,
): { readonly text: string; readonly from: number; readonly next: number } {
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    // A place behind the end means that the log was emptied meanwhile.
    const from = start > size ? 0 : start
    const buffer = Buffer.alloc(size - from)
    const got = readSync(fd, buffer, 0, buffer.length, from)
    return { text: buffer.toString('utf8', 0, got), from, next: from + got }
  } finally {
    closeSync(fd)
  }
}
