import { calls } from '#graph/call.ts'
import type { EnvironmentChange } from '#graph/environment.ts'
import { type ExposureNode, exposure } from '#graph/exposure.ts'
import { externalTcp, reaches } from '#graph/external.ts'
import { queue, sends, works } from '#graph/queue.ts'
import { type ServiceSpec, service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { answering, api, breaking, type Case, email, orderEvents, orders, outside, placed, tiny } from './systems.ts'

function exposing(spec: Partial<Pick<ExposureNode, 'rateLimit' | 'bodyBytesMax' | 'versions'>>) {
  return tiny([answering('a')], { exposures: [exposure('front', answering('a'), api('a'), spec)] })
}

function limiting(concurrentMax: number) {
  return tiny([answering('b'), service('a', { edges: [calls(api('b'), ['read'], { limits: { concurrentMax } })] })])
}

function working(prefetch: number, lengthMax: number, name = 'emails') {
  const node = queue(name, { carries: [email], lengthMax })
  return tiny([service('mailer', { edges: [works(node, { prefetch }), sends(node)] })])
}

function retaining(retentionMs: number) {
  return tiny([service('orders', { publishes: [topic('orders', { carries: [placed], key: 'orderId', retentionMs })] })])
}

function specified(spec: ServiceSpec) {
  return tiny([service('a', spec)])
}

function smtp(port: number) {
  return tiny([
    service('a', { edges: [reaches(externalTcp('mail', { host: 'mail.example', port, expectedLatencyMs: 9 }))] }),
  ])
}

function production(change: EnvironmentChange) {
  return tiny([service('a', {})], { environments: { production: change } })
}

const longest = 'a'.repeat(63)
const again = topic('orders', { carries: [placed], key: 'orderId' })

/** Cases of the rules PLY601 to PLY605. */
export const figureCases: readonly Case[] = [
  breaking('PLY601', 'calls in flight', {
    breaks: limiting(0),
    holds: limiting(1),
    says: ['limits.concurrentMax', 'a → b-api.read', 'from 1 to 100,000'],
  }),
  breaking('PLY601', 'calls in flight without end', {
    breaks: limiting(Number.POSITIVE_INFINITY),
    holds: limiting(100_000),
    says: ['nothing bounds it'],
  }),
  breaking('PLY601', 'a body of any size', {
    breaks: exposing({ bodyBytesMax: null }),
    holds: exposing({ bodyBytesMax: 1 }),
    says: ['exposure front', 'bodyBytesMax'],
  }),
  breaking('PLY601', 'any rate', {
    breaks: exposing({ rateLimit: null }),
    holds: exposing({ rateLimit: { perSecond: 0.1, burst: 1 } }),
    says: ['exposure front', 'rateLimit'],
  }),
  breaking('PLY601', 'prefetch', {
    breaks: working(0, 10),
    holds: working(1, 10),
    says: ['prefetch', 'mailer ← queue emails'],
  }),
  breaking('PLY601', 'tasks waiting', {
    breaks: working(1, Number.POSITIVE_INFINITY),
    holds: working(1, 1),
    says: ['lengthMax'],
  }),
  breaking('PLY601', 'events kept for ever', {
    breaks: retaining(-1),
    holds: retaining(1),
    says: ['retentionMs', 'orders → topic orders'],
  }),
  breaking('PLY601', 'connections', {
    breaks: specified({ owns: [postgres({ connectionsMax: 0 })] }),
    holds: specified({ owns: [postgres({ connectionsMax: 1 })] }),
    says: ['connectionsMax'],
  }),
  breaking('PLY602', 'an availability of all', {
    breaks: specified({ objective: { availability: 1, p99Ms: 100 } }),
    holds: specified({ objective: { availability: 0.999_99, p99Ms: 100 } }),
    says: ['objective.availability', 'above 0 to 0.9999999'],
  }),
  breaking('PLY602', 'half a replica', {
    breaks: specified({ replicas: 1.5 }),
    holds: specified({ replicas: 1 }),
    says: ['replicas', 'no whole number'],
  }),
  breaking('PLY602', 'a port', {
    breaks: smtp(65_536),
    holds: smtp(65_535),
    says: ['port', '65,536'],
  }),
  breaking('PLY603', 'a service that is no label', {
    breaks: tiny([service('OrderStore', {})]),
    holds: tiny([service('order-store', {})]),
    says: ['service OrderStore', 'DNS-1123', 'Name it "order-store"'],
  }),
  breaking('PLY603', 'a service of 64 letters', {
    breaks: tiny([service(`${longest}a`, {})]),
    holds: tiny([service(longest, {})]),
    says: ['at most 63'],
  }),
  breaking('PLY603', 'a system that is no label', {
    breaks: system('my shop', { services: [] }),
    holds: system('my-shop', { services: [] }),
    says: ['"my shop" of a system'],
  }),
  breaking('PLY603', 'a queue with a dot', {
    breaks: working(1, 1, 'e.mails'),
    holds: working(1, 1, 'E-mails'),
    says: ['queue e.mails', 'without dots'],
  }),
  breaking('PLY603', 'a version', {
    breaks: exposing({ versions: ['1.0'] }),
    holds: exposing({ versions: ['v1', 'v2'] }),
    says: ['version of front', 'v1'],
  }),
  breaking('PLY603', 'a database', {
    breaks: specified({ owns: [postgres({ name: 'a"; drop' })] }),
    holds: specified({ owns: [postgres({ name: 'a_b' })] }),
    says: ['store of a'],
  }),
  breaking('PLY604', 'two services of one name', {
    breaks: tiny([service('a', {}), service('a', {})]),
    holds: tiny([service('a', {}), service('b', {})]),
    says: ['2 declarations of a service named a'],
  }),
  breaking('PLY604', 'two topics of one name', {
    breaks: tiny([orders, service('mailer', { edges: [consumes(again, [placed])] })]),
    holds: tiny([orders, service('mailer', { edges: [consumes(orderEvents, [placed])] })]),
    says: ['topic orders'],
  }),
  breaking('PLY604', 'a service and an external of one name', {
    breaks: tiny([service('bank', { edges: [reaches(outside('bank', 9))] })]),
    holds: tiny([service('bank', { edges: [reaches(outside('bank-outside', 9))] })]),
    says: ['external bank'],
  }),
  breaking('PLY605', 'more copies than brokers', {
    breaks: production({ brokers: 2 }),
    holds: production({ brokers: 3 }),
    says: ['environment production topicReplication', '3 copies', '2 brokers'],
  }),
  breaking('PLY605', 'a lost broker that stops every writer', {
    breaks: production({ minInSyncReplicas: 3 }),
    holds: production({ minInSyncReplicas: 2 }),
    says: ['one lost broker stops every writer', 'to 2'],
  }),
  breaking('PLY605', 'a share above one', {
    breaks: production({ traceSampling: 1.1 }),
    holds: production({ traceSampling: 1 }),
    says: ['traceSampling'],
  }),
  breaking('PLY606', 'a service that would be the broker itself', {
    breaks: tiny([service('kafka', {})]),
    holds: tiny([service('kafka-console', {})]),
    says: ['service kafka', 'kafka-service'],
  }),
  breaking('PLY606', "a database that is Postgres' own", {
    breaks: tiny([service('a', { owns: [postgres({ name: 'template1' })] })]),
    holds: tiny([service('a', { owns: [postgres({ name: 'template' })] })]),
    says: ['store of a', 'template1'],
  }),
]
