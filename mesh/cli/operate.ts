import type { Command } from 'commander'
import { RunFailure } from '#local/supervisor/failure.ts'
import type { AskAdmin } from '#mesh/admin/ask.ts'
import {
  type AdminOptions,
  type Admins,
  adminNamed,
  adminsNamed,
  adminsOf,
  fineBody,
  withAdminOptions,
} from './admins.ts'
import { UsageError } from './exit.ts'
import { answerText, offersText } from './operate-text.ts'
import { print } from './output.ts'

type Options = AdminOptions & { readonly json?: boolean }

/** What a service offers to operators, as it tells. */
export type Offered = {
  readonly name: string
  readonly ways: readonly { readonly verb: 'GET' | 'POST'; readonly path: string; readonly what: string }[]
}

/** `parley operate [SERVICE] [OPERATION] [KEY=VALUE …]`: what a service offers to operators, and asking for it. */
export function operateCommand(program: Command): void {
  withAdminOptions(program.command('operate'))
    .description('what services offer to whoever operates them; with an operation, ask for it')
    .argument('[service]', 'which service (default: all, with what each offers)')
    .argument('[operation]', 'what is asked for, such as projections or projections/order_list/rebuild')
    .argument('[values...]', 'what is said with it, as key=value')
    .option('--json', 'print the answer as JSON')
    .action(async (service: string | undefined, operation: string | undefined, values: string[], options: Options) => {
      const admins = await adminsOf(options)
      if (service === undefined || operation === undefined) {
        const offers = await offersOf(adminsNamed(admins, service))
        const [only] = offers
        if (service !== undefined && only?.silent) throw new RunFailure(only.silent)
        print(options.json ? JSON.stringify(offers, null, 2) : offersText(offers))
        return
      }
      const body = await operate(admins, service, operation, values)
      print(options.json ? JSON.stringify(body, null, 2) : answerText(body))
    })
}

/** What a service offers, or why that is not known. */
export type ServiceOffers = { readonly service: string; readonly offers: readonly Offered[]; readonly silent?: string }

/** What each of these services offers. One that does not answer is in, with the reason. */
export async function offersOf(admins: Admins): Promise<ServiceOffers[]> {
  const asked = [...admins].map(async ([service, ask]) => {
    try {
      return { service, offers: await offered(ask) }
    } catch (error) {
      if (!(error instanceof RunFailure)) throw error
      return { service, offers: [], silent: error.message }
    }
  })
  return Promise.all(asked)
}

/**
 * Asks one service for one operation by the verb that it declares for it. Throws a UsageError where it offers no such thing, or
 * refuses what was asked; a RunFailure where it cannot.
 */
export async function operate(
  admins: Admins,
  service: string,
  operation: string,
  values: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const ask = adminNamed(admins, service)
  const [name = '', ...path] = operation.split('/').filter((part) => part !== '')
  const offers = await offered(ask)
  const offer = offers.find((each) => each.name === name)
  const verb = offer && verbOf(offer, path)
  if (!verb) throw new UsageError(`${service} offers no ${operation}.\n\n${offersText([{ service, offers }])}`)
  const said = valuesOf(values)
  const query = verb === 'GET' ? new URLSearchParams(said).toString() : ''
  const where = [name, ...path].map(encodeURIComponent).join('/')
  return fineBody(await ask(verb, `/${where}${query && `?${query}`}`, said))
}

async function offered(ask: AskAdmin): Promise<readonly Offered[]> {
  const { status, body } = await ask('GET', '/operations')
  // One in another language may answer whatever it is asked, or nothing.
  return status === 200 && Array.isArray(body.operations) ? body.operations : []
}

/** By which verb a path is asked: of two ways that fit, by the one that spells it out. Where no way is told, one looks. */
function verbOf({ ways }: Offered, path: readonly string[]): 'GET' | 'POST' | undefined {
  if (ways.length === 0) return 'GET'
  const partsOf = (wanted: string) => wanted.split('/').filter((part) => part !== '')
  const fitting = ways.filter(({ path: wanted }) => {
    const parts = partsOf(wanted)
    return parts.length === path.length && parts.every((part, index) => isBlank(part) || part === path[index])
  })
  const exact = fitting.find(({ path: wanted }) => !partsOf(wanted).some(isBlank))
  return (exact ?? fitting[0])?.verb
}

/** Capitals stand for what is filled in. */
function isBlank(part: string): boolean {
  return /^[A-Z_]+$/.test(part)
}

function valuesOf(values: readonly string[]): Record<string, string> {
  const pairs = values.map((value) => {
    const at = value.indexOf('=')
    if (at < 1) throw new UsageError(`${value} says nothing: write it as key=value.`)
    return [value.slice(0, at), value.slice(at + 1)] as const
  })
  return Object.fromEntries(pairs)
}
