/** Which role may connect to which database, from PostgreSQL's rules for pg_hba and CloudNativePG's for its roles. */
import type { Manifest } from '#providers/manifest.ts'
import { type Loose, NotUnderstood, ofKind, only } from './objects.ts'

const group = 'postgresql.cnpg.io'
/** The operator's own rules come before those of a cluster's owner, and this one after them. */
const last = 'host all all all scram-sha-256'

/** Whether a role may connect over TLS, from any pod, with a client certificate of its own. */
export function postgresAllows(objects: readonly Manifest[], role: string, database: string): boolean {
  const found = ofKind(objects, group, 'DatabaseRole').find(({ spec }) => spec.name === role)
  if (!found?.spec.login || found.spec.clientCertificate?.enabled !== true) return false
  only(found.spec, 'A DatabaseRole', ...plainRoleFields)
  if (!ofKind(objects, group, 'Database').some(({ spec }) => spec.name === database)) {
    if (!ownDatabases.includes(database)) return false
  }
  const [cluster, ...more] = ofKind(objects, group, 'Cluster')
  if (!cluster || more.length > 0) throw new NotUnderstood(`${more.length} clusters`)
  const rules: readonly string[] = [...(cluster.spec.postgresql?.pg_hba ?? []), last]
  const rule = rules.map(parsed).find(({ type, databases, users }) => {
    const toHere = databases.some(
      (name) => name === 'all' || name === database || (name === 'sameuser' && role === database),
    )
    return (type === 'host' || type === 'hostssl') && toHere && users.some((name) => name === 'all' || name === role)
  })
  // A role without a password cannot answer for one.
  return rule?.method === 'cert' || rule?.method === 'trust'
}

/** The databases that a new cluster has of its own. */
export const ownDatabases: readonly string[] = ['postgres', 'template1', 'app']

/** What a role may have without any power beyond its own databases. */
const plainRoleFields = [
  'cluster',
  'name',
  'ensure',
  'login',
  'disablePassword',
  'clientCertificate',
  'connectionLimit',
  'databaseRoleReclaimPolicy',
]

type Rule = {
  readonly type: string
  readonly databases: readonly string[]
  readonly users: readonly string[]
  readonly method: string
}

function parsed(line: string): Rule {
  const [type = '', databases = '', users = '', address = '', method = '', ...options] = line.trim().split(/\s+/)
  if (!['host', 'hostssl', 'hostnossl', 'local'].includes(type)) throw new NotUnderstood(`The rule ${line}`)
  if (address !== 'all' || options.length > 0) throw new NotUnderstood(`The rule ${line}`)
  if (!['cert', 'reject', 'trust', 'scram-sha-256', 'md5', 'password'].includes(method)) {
    throw new NotUnderstood(`The rule ${line}`)
  }
  return { type, databases: listed(databases), users: listed(users), method }
}

function listed(text: string): readonly string[] {
  return text.split(',').map((name) => name.replace(/^"(.*)"$/, '$1'))
}

/** The owner of each database. */
export function databaseOwners(
  objects: readonly Manifest[],
): readonly { readonly role: string; readonly database: string }[] {
  return ofKind(objects, group, 'Database').map(({ spec }: Loose) => ({ role: spec.owner, database: spec.name }))
}

/** The roles that are made. */
export function databaseRoles(objects: readonly Manifest[]): readonly string[] {
  return ofKind(objects, group, 'DatabaseRole').map(({ spec }) => spec.name)
}
