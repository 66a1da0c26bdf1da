/** A finding that is known and kept: its code, and why that is right here. */
export type Acceptance = { readonly code: string; readonly reason: string }

/** Accepts a finding on the node that carries it. The reason is printed with every report. */
export function accept(code: string, reason: string): Acceptance {
  return { code, reason }
}
