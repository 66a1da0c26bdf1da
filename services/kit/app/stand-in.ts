import { createServer } from 'node:http'
import { type Address, listen, parseAddress } from './address.ts'

/** What a stand-in of an external is told: where it plays its part, and where it shows a page, if it has one. */
export type StandInConfiguration = { readonly listen: Extract<Address, { kind: 'tcp' }>; readonly web: Address | null }

/** Reads `PARLEY_LISTEN` and `PARLEY_WEB`. Throws with the variable's name when one is missing or malformed. */
export function readStandIn(
  variables: Readonly<Record<string, string | undefined>> = process.env,
): StandInConfiguration {
  const listenAt = addressOf(variables, 'PARLEY_LISTEN')
  if (listenAt.kind !== 'tcp')
    throw new Error('PARLEY_LISTEN of a stand-in is tcp:host:port, as the real system is elsewhere')
  return { listen: listenAt, web: variables.PARLEY_WEB ? addressOf(variables, 'PARLEY_WEB') : null }
}

/** Answers `/livez` and `/readyz` with 200 at `PARLEY_ADMIN`, once the stand-in plays its part. */
export async function announceReady(
  variables: Readonly<Record<string, string | undefined>> = process.env,
): Promise<void> {
  const server = createServer((_request, response) => response.end('ok\n'))
  await listen(server, addressOf(variables, 'PARLEY_ADMIN'))
}

function addressOf(variables: Readonly<Record<string, string | undefined>>, name: string): Address {
  const given = variables[name]
  if (!given) throw new Error(`${name} is missing; give it as tcp:host:port or unix:/path`)
  const address = parseAddress(given)
  if (typeof address === 'string') throw new Error(`${name} is "${given}": ${address}`)
  return address
}
