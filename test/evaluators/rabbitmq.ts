/** What RabbitMQ lets a user do to a resource of the virtual host, from its documentation of permissions. */
import type { Manifest } from '#providers/manifest.ts'
import { NotUnderstood, ofKind, only } from './objects.ts'

const group = 'rabbitmq.com'

/** Whether the user of this name may configure, write to or read from a queue or an exchange of this name. */
export function rabbitmqAllows(
  objects: readonly Manifest[],
  user: string,
  operation: 'configure' | 'write' | 'read',
  resource: string,
): boolean {
  const [virtualHost, ...more] = ofKind(objects, group, 'Vhost')
  if (!virtualHost || more.length > 0) throw new NotUnderstood(`${more.length} virtual hosts`)
  if (ofKind(objects, group, 'TopicPermission').length > 0) throw new NotUnderstood('Permissions by topic')
  const found = ofKind(objects, group, 'User').find(({ metadata }) => metadata.name === user)
  if (!found) return false
  // A tag opens the management of more than its own.
  if (found.spec.tags?.length > 0) throw new NotUnderstood(`The tags ${found.spec.tags}`)
  const permissions = ofKind(objects, group, 'Permission').filter(
    ({ spec }) => spec.vhost === virtualHost.spec.name && (spec.userReference?.name ?? spec.user) === user,
  )
  if (permissions.length > 1) throw new NotUnderstood(`Several permissions of ${user}`)
  return permissions.some(({ spec }) => {
    only(spec, 'A Permission', 'vhost', 'userReference', 'user', 'permissions', 'rabbitmqClusterReference')
    const pattern = spec.permissions[operation] ?? ''
    // An empty pattern stands for one that matches the empty name alone.
    return new RegExp(pattern === '' ? '^$' : pattern).test(resource)
  })
}

/** All that a queue server holds here: queues and exchanges, by name. */
export function rabbitmqResources(objects: readonly Manifest[]): readonly string[] {
  const names = ['Queue', 'Exchange'].flatMap((kind) => ofKind(objects, group, kind).map(({ spec }) => spec.name))
  return [...new Set<string>(names)]
}
