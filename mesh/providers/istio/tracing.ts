import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { istioObject } from './objects.ts'

/** The name of the extension provider in Istio's own settings that sends spans to the collector, by OTLP. */
const tracingProvider = 'parley-tracing'

/** Sidecars add spans of their own to the share of traces that the environment keeps. A trace that the caller keeps is kept. */
export function telemetry(site: Site): Manifest {
  const tracing = {
    providers: [{ name: tracingProvider }],
    randomSamplingPercentage: Math.round(site.traceSampling * 10_000) / 100,
  }
  return istioObject(site, 'Telemetry', { name: 'default', owner: site.system, spec: { tracing: [tracing] } })
}
