/**
 * Where webhooks may go: out, and nowhere else. Subscribers choose the address, so each is judged when it is given and again at
 * each attempt: a name may mean something else by then.
 */
import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An address that a connection may be opened to. */
export type TargetAddress = { readonly address: string; readonly family: 4 | 6 }

/** Why an address is refused, as a stable code. */
export type RefusalCode = 'malformed' | 'scheme' | 'credentials' | 'port' | 'inside'

/** An address that no webhook goes to. The message is for the subscriber: it does not tell what was found inside. */
export class TargetRefused extends Error {
  override readonly name = 'TargetRefused'
  readonly code: RefusalCode

  constructor(code: RefusalCode, message: string) {
    super(message)
    this.code = code
  }
}

/** What addresses are judged by. */
export type TargetPolicy = {
  /** All addresses of a name, in no order; none where there is no such name. Rejects where that cannot be known now. */
  readonly resolve: (host: string, signal: AbortSignal) => Promise<readonly string[]>
  readonly isOutside: (address: string) => boolean
  readonly ports: readonly number[]
  /** Addresses that are allowed though they are inside, in plain HTTP and on any port. Empty but in a local run. */
  readonly receivers: readonly string[]
}

const urlCharactersMax = 2_048
const addressesMax = 32

/** HTTPS on port 443 to public addresses. `receivers` are the exceptions of a local run; see `PARLEY_WEBHOOK_RECEIVERS`. */
export function targetPolicy(receivers: readonly string[] = []): TargetPolicy {
  return { resolve: resolveName, isOutside: isPublic, ports: [443], receivers }
}

/**
 * Reads a subscriber's URL.
 * @throws TargetRefused
 */
export function readTarget(policy: TargetPolicy, text: string): URL {
  const url = text.length <= urlCharactersMax ? URL.parse(text) : null
  if (!url) throw new TargetRefused('malformed', `The URL is none, or has more than ${urlCharactersMax} characters.`)
  if (url.username !== '' || url.password !== '') {
    throw new TargetRefused(
      'credentials',
      'The URL holds a name or a password: webhooks are recognised by their signature.',
    )
  }
  if (policy.receivers.includes(hostOf(url)) && ['http:', 'https:'].includes(url.protocol)) return url
  if (url.protocol !== 'https:') throw new TargetRefused('scheme', 'Webhooks go over https.')
  const port = url.port === '' ? 443 : Number(url.port)
  if (!policy.ports.includes(port)) {
    throw new TargetRefused('port', `Webhooks go to port ${policy.ports.join(' or ')}, not to ${port}.`)
  }
  return url
}

/**
 * The addresses of a URL, every one of them public. Connections go to these and are not resolved again, so that what
 * was judged is what is asked.
 * @throws TargetRefused `inside` where one is not, or there is none
 */
export async function addressesOf(
  policy: TargetPolicy,
  url: URL,
  signal: AbortSignal,
): Promise<readonly [TargetAddress, ...TargetAddress[]]> {
  const host = hostOf(url)
  const found = isIP(host) ? [host] : (await policy.resolve(host, signal)).slice(0, addressesMax)
  const allowed = (address: string) =>
    policy.isOutside(address) || (isIP(host) !== 0 && policy.receivers.includes(address))
  const [first, ...rest] = found.map((address): TargetAddress => ({ address, family: isIP(address) === 6 ? 6 : 4 }))
  if (!first || !found.every(allowed)) {
    // The same for a name that does not exist: nobody is to learn which names there are inside.
    throw new TargetRefused('inside', `${host.slice(0, 255)} is not, or not only, at public addresses.`)
  }
  return [first, ...rest]
}

/** Public by its number alone: behind it Azure answers each machine about itself. */
const azurePlatform = '168.63.129.16'

/** Whether an address belongs to the public internet. Whatever is not known to is inside. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address)
  if (parsed.range() !== 'unicast' || parsed.toString() === azurePlatform) return false
  // Of IPv6 only this much is given out; outside of it are also old ways to write an address of IPv4.
  return parsed.kind() === 'ipv4' || parsed.match(ipaddr.IPv6.parseCIDR('2000::/3'))
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

/** What says that a name has no addresses; any other failure says that nobody could tell. */
const nowhere = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME'])

/**
 * Asks the name servers themselves: no file of this machine and no list of endings of the cluster has a say, and a slow one
 * holds no thread that others need. Rejects where they cannot tell now. `servers` replaces this machine's.
 */
export async function resolveName(
  host: string,
  signal: AbortSignal,
  servers: readonly string[] = [],
): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 })
  if (servers.length > 0) resolver.setServers([...servers])
  const cancel = () => resolver.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    const failed = answers.find((answer) => answer.status === 'rejected' && !nowhere.has(answer.reason.code))
    if (found.length === 0 && failed?.status === 'rejected') throw failed.reason
    return found
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}
