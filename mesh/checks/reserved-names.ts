import type { SystemNode } from '#graph/system.ts'
import { byName } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'

/** Names that somebody else has already: each part of a run is known by a certificate of its own name. */
const takenByParts = new Set(['authority', 'kafka', 'postgres', 'rabbitmq'])
/** Databases that Postgres brings along. */
const takenByPostgres = new Set(['postgres', 'template0', 'template1'])

/** A service is nobody else. */
export const reservedNames = rule({
  code: 'PLY606',
  title: 'A service does not take the name of a part',
  why: "Identities are names. A service called kafka would have the broker's own certificate, and with it the right to do everything; a database called postgres belongs to the server.",
  reference: 'Apache Kafka, "Authorization and ACLs", `super.users`; PostgreSQL, "Template Databases"',
  acceptable: false,
  check: (system: SystemNode) =>
    byName(system.services).flatMap((service): Breach[] => {
      const owners = [serviceOwner(service)]
      const databases = (service.spec.owns ?? []).flatMap((store) => (store.name === null ? [] : [store.name]))
      return [
        ...(takenByParts.has(service.name) ? [taken(`service ${service.name}`, service.name, owners)] : []),
        ...databases
          .filter((name) => takenByPostgres.has(name))
          .map((name) => taken(`store of ${service.name}`, name, owners)),
      ]
    }),
})

function taken(path: string, name: string, owners: Breach['owners']): Breach {
  const message = `The name ${name} is taken: a part of every run has it.`
  return { path: [path], message, cost: null, mend: `Give it another name, such as ${name}-service.`, owners }
}
