import { expect, test } from '@jest/globals'
import { queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { derive } from '#plan/derive.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { meshes } from '#providers/cluster.ts'
import { filesOf } from './files.ts'
import { systemParts } from './parts.ts'
import { settings } from './workloads/testdata/cases.ts'

test.each(meshes)('on %s a service has files of its own, whatever it is called', (mesh) => {
  const events = topic('events', { carries: [OrderPlacedSchema], key: 'orderId' })
  const tasks = queue('tasks', { carries: [SendEmailSchema] })
  const uses = { edges: [consumes(events, [OrderPlacedSchema]), works(tasks), sends(tasks)], owns: [postgres()] }
  const names = ['kafka', 'postgres', 'rabbitmq', 'mesh', 'namespaces', 'edge']
  const services = names.map((name, index) => service(name, index === 0 ? { ...uses, publishes: [events] } : uses))
  const files = filesOf(derive(system('shop', { services }), 'kind'), mesh, { ...settings, hosts: {} })
  for (const name of names) expect(files.get(`data/${name}.yaml`)).toContain(`app.kubernetes.io/name: ${name}`)
  for (const part of ['kafka', 'postgres', 'rabbitmq']) expect([...files.keys()]).toContain(`data/system.${part}.yaml`)
  expect(systemParts.map(({ name }) => name).filter((name) => !name.startsWith('system.'))).toEqual([])
})
