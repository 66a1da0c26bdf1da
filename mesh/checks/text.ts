/** How figures and lists read in findings. Nothing here depends on the machine's locale. */

/** `a`, `a and b`, `a, b and c`. */
export function list(words: readonly string[]): string {
  const last = words.at(-1)
  if (last === undefined) return 'nothing'
  return words.length === 1 ? last : `${words.slice(0, -1).join(', ')} and ${last}`
}

/** A whole number with its thousands apart: `30,000`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Milliseconds: `1,000 ms`. */
export function ms(value: number): string {
  return `${count(Math.round(value))} ms`
}

/** A share as a percentage with what distinguishes it from its neighbours: `99.9 %`, `99.8001 %`. */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(4))} %`
}

/** How long a service with this availability fails in a month of 30 days: `43 minutes a month`. */
export function downtime(availability: number): string {
  const minutes = (1 - availability) * 30 * 24 * 60
  return minutes < 10
    ? `${Number(minutes.toFixed(1))} minutes a month`
    : `${count(Math.round(minutes))} minutes a month`
}

/** The order in which everything is reported, whatever the locale. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
