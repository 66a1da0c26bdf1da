import { operate } from '#mesh/cli/operate.ts'
import type { Visit } from './row.ts'

/** Asks a service for an operation, as `parley operate` does. */
export async function ask<T>(visit: Visit, service: string, operation: string, ...values: string[]): Promise<T> {
  return (await operate(await visit.shop.admins(), service, operation, values)) as T
}

/** The same, shown as the command to type. */
export function askShown<T>(
  visit: Visit,
  service: string,
  operation: string,
  values: readonly string[],
  came: (answer: T) => string,
): Promise<T> {
  const sent = ['bin/parley operate', service, operation, ...values].join(' ')
  return visit.show(sent, () => ask<T>(visit, service, operation, ...values), came)
}
