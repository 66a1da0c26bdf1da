import type { SystemNode } from '#graph/system.ts'

/** A node whose declaration may accept a finding: `service orders`, `exposure public`. */
export type Owner = `service ${string}` | `exposure ${string}`

/** Something that a rule refuses, before its code is put on it. */
export type Breach = {
  /** Where, as a path through the graph, such as `gateway`, `→ orders.createOrder`, `→ inventory.checkStock`. */
  readonly path: readonly string[]
  /** What is wrong, as a sentence. */
  readonly message: string
  /** What it would cost, with a figure where one follows; null where the harm is not a quantity. */
  readonly cost: string | null
  /** The smallest change of the declaration that mends it. */
  readonly mend: string
  /** The nodes whose `accepts` may name it. Empty for what belongs to the system itself. */
  readonly owners: readonly Owner[]
}

/** Something that a rule refuses. */
export type Finding = Breach & { readonly code: string }

/** One rule. Its code never changes its meaning; the reference page is made of the other fields. */
export type Rule = {
  readonly code: string
  /** What must hold, in a few words. */
  readonly title: string
  /** What goes wrong in production where it does not hold. */
  readonly why: string
  /** Where the field says so. */
  readonly reference: string
  /** Whether `accept(code, reason)` may keep a finding. False where no plan could be derived from the system. */
  readonly acceptable: boolean
  readonly check: (system: SystemNode) => readonly Finding[]
}

/** Makes a rule of a function that says what is wrong; `acceptable` defaults to true. */
export function rule(
  spec: Omit<Rule, 'check' | 'acceptable'> & {
    acceptable?: boolean
    check: (system: SystemNode) => readonly Breach[]
  },
): Rule {
  const { code, title, why, reference, acceptable = true, check } = spec
  return {
    code,
    title,
    why,
    reference,
    acceptable,
    check: (system) => check(system).map((breach) => ({ code, ...breach })),
  }
}

/** The owner that a service's `accepts` speaks for. */
export function serviceOwner(service: { readonly name: string }): Owner {
  return `service ${service.name}`
}

/** The owner that an exposure's `accepts` speaks for. */
export function exposureOwner(exposure: { readonly name: string }): Owner {
  return `exposure ${exposure.name}`
}
