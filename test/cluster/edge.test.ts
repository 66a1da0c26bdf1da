/** What is open to the outside: the declared exposures, on their hosts, by their methods, and nothing else. */
import { describe, expect, test } from '@jest/globals'
import type { Plan } from '#plan/plan.ts'
import type { Settings } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { edgeTarget } from '../evaluators/gateway.ts'
import { without } from '../evaluators/objects.ts'
import { renderedCases } from '../fixtures/rendered.ts'
import { closedExposures } from './not-supported.ts'

const cases = renderedCases()
const anyHost = 'any.example'

describe('the edge', () => {
  test.each(cases)('$title', ({ plan, mesh, settings, objects }) => {
    const closed = closedExposures({ plan, mesh })
    expect(reached(plan, settings, objects)).toEqual(declared(plan, settings, closed))
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

function reached(plan: Plan, settings: Settings, objects: readonly Manifest[]): readonly string[] {
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
        ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'].flatMap((verb) => {
          const target = edgeTarget(objects, { host, verb, path })
          return target === null ? [] : [`${host} ${verb} ${path} → ${target}`]
        }),
      ),
    ),
  )
}

function declared({ exposures, namespace }: Plan, settings: Settings, closed: readonly string[]): readonly string[] {
  return sorted(
    exposures
      .filter(({ name }) => !closed.includes(name))
      .flatMap((exposure) =>
        exposure.methods.flatMap(({ verb, path }) =>
          hostsOf(exposure, exposures, settings).map(
            (host) => `${host} ${verb} ${sample(path)} → ${namespace}/${exposure.service}:8080`,
          ),
        ),
      ),
  )
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
