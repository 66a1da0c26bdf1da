/** A time as the Gateway API writes it: units of at most five digits, such as `3s` or `1s500ms`. */
export function durationOf(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  const rest = Math.round(ms % 1_000)
  return `${seconds > 0 ? `${seconds}s` : ''}${rest > 0 || seconds === 0 ? `${rest}ms` : ''}`
}
