import { type ServiceSlice, usesQueues, usesTopics } from '#plan/slices.ts'
import { dataNames, type Site } from '#providers/cluster.ts'

/** Where the files of each data service are mounted. They are renewed in place. */
export const mountPaths = {
  kafka: '/var/run/parley/kafka',
  postgres: '/var/run/parley/postgres',
  rabbitmq: '/var/run/parley/rabbitmq',
} as const

type Part = keyof typeof mountPaths

/** The keys that a service takes of one Secret. */
type Source = { readonly secret: string; readonly keys: readonly string[] }

/** The volumes with a service's credentials: of each Secret only the keys that it needs, readable by its own group alone. */
export function secretVolumes(site: Site, slice: ServiceSlice) {
  return sourcesOf(site, slice).map(([name, sources]) => ({
    name,
    projected: {
      defaultMode: 0o440,
      sources: sources.map(({ secret, keys }) => ({
        secret: { name: secret, items: keys.map((key) => ({ key, path: key })) },
      })),
    },
  }))
}

/** Where `secretVolumes` are mounted. */
export function secretMounts(site: Site, slice: ServiceSlice) {
  return sourcesOf(site, slice).map(([name]) => ({ name, mountPath: mountPaths[name], readOnly: true }))
}

function sourcesOf(site: Site, slice: ServiceSlice): readonly (readonly [Part, readonly Source[]])[] {
  const { kafka, postgres, rabbitmq } = dataNames(site)
  const { name } = slice.service
  const all: readonly (readonly [Part, boolean, readonly Source[]])[] = [
    [
      'kafka',
      usesTopics(slice),
      [
        { secret: kafka.authoritySecret, keys: ['ca.crt'] },
        { secret: kafka.userSecret(name), keys: ['user.crt', 'user.key'] },
      ],
    ],
    [
      'postgres',
      slice.stores.length > 0,
      [
        { secret: postgres.authoritySecret, keys: ['ca.crt'] },
        { secret: postgres.userSecret(name), keys: ['tls.crt', 'tls.key'] },
      ],
    ],
    [
      'rabbitmq',
      usesQueues(slice),
      [
        { secret: rabbitmq.authoritySecret, keys: ['ca.crt'] },
        { secret: rabbitmq.userSecret(name), keys: ['username', 'password'] },
      ],
    ],
  ]
  return all.filter(([, used]) => used).map(([part, , sources]) => [part, sources] as const)
}
