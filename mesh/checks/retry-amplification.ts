import { resolveReach } from '#graph/defaults.ts'
import type { SystemNode } from '#graph/system.ts'
import { edgesOf, type Hop } from './edges.ts'
import { entriesOf, heaviestPaths } from './paths.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'

/** One place on a path where attempts are multiplied. */
type Layer = { readonly from: string; readonly label: string; readonly attempts: number }

/** Attempts do not multiply along a path. */
export const retryAmplification = rule({
  code: 'PLY108',
  title: 'Along a path one layer retries, and not much',
  why: 'Attempts multiply: three layers of three attempts send 27 requests to a leaf that is already failing, and keep it down.',
  reference: 'Site Reliability Engineering, chapter 22, "Retries"',
  check: (system) =>
    entriesOf(system)
      .flatMap((entry) => heaviestPaths(system, entry, retriesMore))
      .flatMap((path) => {
        const inner = path.hops.map(layerOf)
        const outer = reachedWithRetry(system, path.end).map((layer) => [...inner, layer])
        return [...(path.leaf ? [inner] : []), ...outer].flatMap((layers) => breaches(system, path.entry, layers))
      }),
})

function breaches(system: SystemNode, entry: string, layers: readonly Layer[]): Breach[] {
  const max = system.bounds.attemptsAtLeafMax ?? 3
  const retrying = layers.filter((layer) => layer.attempts > 1)
  const product = retrying.reduce((sum, layer) => sum * layer.attempts, 1)
  const [keep, ...others] = retrying
  if (!keep || (retrying.length < 2 && product <= max)) return []
  const last = layers.findLastIndex((layer) => layer.attempts > 1)
  const path = [entry, ...layers.slice(0, last + 1).map((layer) => layer.label)]
  const factors = retrying.length > 1 ? `${retrying.map((layer) => layer.attempts).join(' × ')} = ` : ''
  const cost = `${factors}${product} attempts at the leaf for one request; the bound is ${max}.`
  const owners = retrying.map((layer) => serviceOwner({ name: layer.from }))
  if (others.length === 0) {
    const message = `${keep.from} ${keep.label} makes up to ${product} attempts; the bound is ${max}.`
    return [{ path, message, cost, mend: `Set \`retry.attempts\` of ${keep.from} ${keep.label} to ${max}.`, owners }]
  }
  const layersText = retrying.map((layer) => `${layer.from} ${layer.label}`).join(', ')
  const message = `${retrying.length} layers of one path retry: ${layersText}.`
  const mend = `Take \`retry\` off ${others.map((layer) => `${layer.from} ${layer.label}`).join(' and ')}; ${keep.from} retries the whole.`
  return [{ path, message, cost, mend, owners }]
}

function reachedWithRetry(system: SystemNode, name: string): Layer[] {
  return system.services
    .filter((service) => service.name === name)
    .flatMap((service) => edgesOf(service, 'reaches'))
    .map((edge) => ({
      from: name,
      label: `→ external ${edge.external.name}`,
      attempts: resolveReach(edge).retry?.attempts ?? 1,
    }))
    .filter((layer) => layer.attempts > 1)
}

function layerOf(hop: Hop): Layer {
  return { from: hop.from.name, label: hop.label, attempts: hop.policy.retry?.attempts ?? 1 }
}

/** More retrying layers are worse, then more attempts. */
function retriesMore(a: readonly Hop[], b: readonly Hop[]): boolean {
  const [layersA, layersB] = [a, b].map((hops) => hops.filter((hop) => layerOf(hop).attempts > 1).length)
  if (layersA !== layersB) return (layersA ?? 0) > (layersB ?? 0)
  const [productA, productB] = [a, b].map((hops) => hops.reduce((sum, hop) => sum * layerOf(hop).attempts, 1))
  return (productA ?? 0) > (productB ?? 0)
}
