/** What is open to the outside: the declared exposures, on their hosts, by their methods, and nothing else. */
import { describe, expect, test } from '@jest/globals'
import type { Plan } from '#plan/plan.ts'
import type { Mesh, Settings } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type EdgeRequest, edgeTarget } from '../evaluators/gateway.ts'
import { without } from '../evaluators/objects.ts'
import { renderedCases } from '../fixtures/rendered.ts'
import { closedExposures } from './not-supported.ts'

const cases = renderedCases()
const verbs = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']
const anyHost = 'any.example'

describe('the edge', () => {
  test.each(cases)('over HTTPS: $title', ({ plan, mesh, settings, objects }) => {
    expect(reached(plan, settings, objects)).toEqual(declared(plan, settings, mesh))
  })

  test.each(cases)('over plain HTTP: $title', ({ plan, mesh, settings, environment, objects }) => {
    // In production plain HTTP only tells where HTTPS is.
    const open = environment === 'kind' ? declared(plan, settings, mesh) : []
    const direct = reached(plan, settings, objects, 'HTTP').filter((line) => !line.endsWith('→ redirected'))
    expect(direct).toEqual(open)
  })

  test.each(cases.filter(({ mesh }) => mesh === 'none'))(
    'each route that is gone is noticed: $title',
    ({ plan, settings, objects }) => {
      const whole = reached(plan, settings, objects)
      for (const route of objects.filter(
        ({ kind, metadata }) => /^(HTTP|GRPC)Route$/.test(kind) && metadata.name.endsWith('.edge'),
      )) {
        expect(reached(plan, settings, without(objects, route))).not.toEqual(whole)
      }
    },
  )
})

function reached(
  plan: Plan,
  settings: Settings,
  objects: readonly Manifest[],
  protocol: EdgeRequest['protocol'] = 'HTTPS',
): readonly string[] {
  const hosts = [...new Set([anyHost, ...plan.exposures.map((exposure) => hostOf(exposure, settings))])]
  const methods = plan.services.flatMap(({ apis }) => apis.flatMap((api) => api.methods))
  const paths = [
    ...new Set([...methods, ...plan.exposures.flatMap((exposure) => exposure.methods)].map(({ path }) => sample(path))),
  ]
  const strange = [
    '/',
    '/metrics',
    '/livez',
    '/grpc.health.v1.Health/Check',
    ...paths.map((path) => `${path}/more/of/it`),
  ]
  return sorted(
    hosts.flatMap((host) =>
      [...paths, ...strange].flatMap((path) =>
        verbs.flatMap((verb) => {
          const target = edgeTarget(objects, { protocol, host, verb, path })
          return target === null ? [] : [`${host} ${verb} ${path} → ${target}`]
        }),
      ),
    ),
  )
}

function declared(plan: Plan, settings: Settings, mesh: Mesh): readonly string[] {
  const { exposures, namespace } = plan
  const closed = closedExposures({ plan, mesh })
  return sorted(
    exposures
      .filter(({ name }) => !closed.includes(name))
      .flatMap((exposure) =>
        exposure.methods.flatMap(({ verb, path }) =>
          hostsOf(exposure, exposures, settings).flatMap((host) =>
            verbsOf(exposure, verb, mesh).map(
              (each) => `${host} ${each} ${sample(path)} → ${namespace}/${exposure.service}:8080`,
            ),
          ),
        ),
      ),
  )
}

/** A browser asks with OPTIONS before it calls another origin. A GRPCRoute, which is Envoy Gateway's, says nothing of verbs. */
function verbsOf({ origins, grpcWeb }: Plan['exposures'][number], verb: string, mesh: Mesh): readonly string[] {
  const asked = origins.length > 0 && (mesh === 'istio' || !grpcWeb)
  return asked ? [verb, 'OPTIONS'] : [verb]
}

/** An exposure for any host answers on each that no other has. */
function hostsOf(exposure: Plan['exposures'][number], all: Plan['exposures'], settings: Settings): readonly string[] {
  const own = hostOf(exposure, settings)
  if (own !== anyHost) return [own]
  return [anyHost, ...all.map((other) => hostOf(other, settings)).filter((host) => host !== anyHost)]
}

function hostOf({ name, host }: Plan['exposures'][number], settings: Settings): string {
  const chosen = settings.hosts[name] ?? host
  return chosen === '*' ? anyHost : chosen
}

function sample(path: string): string {
  return path.replaceAll(/\{[^}]*\}/g, 'one')
}

function sorted(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)].sort()
}
