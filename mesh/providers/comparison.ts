import { type Capabilities, type Capability, type Feature, features } from './capability.ts'
import { capabilities as envoy } from './envoy/capabilities.ts'
import { capabilities as istio } from './istio/capabilities.ts'
import { capabilities as linkerd } from './linkerd/capabilities.ts'

/** The columns of the comparison, by the names that people use. */
export const providers: Readonly<Record<string, Capabilities>> = {
  'Local Envoy': envoy,
  Istio: istio,
  Linkerd: linkerd,
}

const names = Object.keys(features) as Feature[]

/** The page that compares the providers, as Markdown. `docs/reference/meshes.md` is this, and a test proves it fresh. */
export function meshesReference(): string {
  const columns = Object.keys(providers)
  return [
    '# Meshes',
    '',
    'Generated from `capabilities.ts` of each folder of `mesh/providers`; refreshed by `UPDATE_GOLDEN=1` when its test runs. Do',
    'not edit.',
    '',
    'One plan is rendered for a local Envoy beside each process, for Istio, or for Linkerd. Each cell says by which field a',
    'thing is done. `NOT_SUPPORTED` is never silent: rendering prints every place of a plan that meets a gap, with the reason',
    'given here; where a cell counts gaps, they are listed below the table.',
    '',
    `| Declared | ${columns.join(' | ')} |`,
    `|---|${columns.map(() => '---|').join('')}`,
    ...names.map(
      (name) => `| ${[features[name], ...Object.values(providers).map((one) => cell(one[name]))].join(' | ')} |`,
    ),
    '',
    '## Gaps',
    ...names.flatMap(section),
    '',
  ].join('\n')
}

/** Every reason that a provider gives, for whatever it cannot do. */
export function reasonsOf(capabilities: Capabilities): readonly string[] {
  return names.flatMap((name) => gaps(capabilities[name]))
}

function cell(capability: Capability): string {
  if ('notSupported' in capability) return '`NOT_SUPPORTED`'
  const count = gaps(capability).length
  return escaped(count > 0 ? `${capability.by} (${count} ${count > 1 ? 'gaps' : 'gap'})` : capability.by)
}

function section(name: Feature): string[] {
  const lines = Object.entries(providers).flatMap(([provider, capabilities]) =>
    gaps(capabilities[name]).map((reason) => `- **${provider}**: ${reason}.`),
  )
  return lines.length > 0 ? ['', `### ${features[name]}`, '', ...lines] : []
}

function gaps(capability: Capability): readonly string[] {
  return 'notSupported' in capability ? [capability.notSupported] : Object.values(capability.but ?? {})
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|')
}
