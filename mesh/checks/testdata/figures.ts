import { type Route, rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import type { EnvironmentChange } from '#graph/environment.ts'
import { type ExposureNode, exposure } from '#graph/exposure.ts'
import { external, externalTcp, reaches } from '#graph/external.ts'
import { queue, sends, works } from '#graph/queue.ts'
import { type ServiceSpec, service } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import {
  answering,
  api,
  breaking,
  type Case,
  email,
  orderEvents,
  orders,
  outside,
  placed,
  tiny,
  versioned,
} from './systems.ts'

function exposing(spec: Partial<Pick<ExposureNode, 'rateLimit' | 'bodyBytesMax'>>) {
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

/** A service with an interface of these routes, which the compiler has not seen. */
/** An interface with a route that streams; a file that runs without the compiler may name any. */
function newsOf(streams: readonly string[]) {
  const news = rest('news-api', { list: 'GET /news', follow: 'GET /news/updates' })
  return tiny([service('news', { exposes: [{ ...news, streams }] })])
}

function routing(...routes: readonly string[]) {
  const named = Object.fromEntries(routes.map((route, index) => [`r${index}`, route as Route]))
  return tiny([service('a', { exposes: [rest('quotes-api', named)] })])
}

function bankRoute(charge: string) {
  const spec = { host: 'bank.example', port: 443, expectedLatencyMs: 9, routes: { charge: charge as Route } }
  return tiny([service('a', { edges: [reaches(external('bank', spec))] })])
}

function reachingOut(name: string, played: boolean) {
  const spec = { host: 'far.example', port: 443, expectedLatencyMs: 9, routes: { read: 'GET /things' as Route } }
  const standIn = { start: module('far.ts') }
  return tiny([service('a', { edges: [reaches(external(name, played ? { ...spec, standIn } : spec))] })])
}

/** A call whose policy the compiler has not seen. */
function calling(policy: object) {
  return tiny([answering('b'), service('a', { edges: [calls(api('b'), ['read'], policy)] })])
}

const misspelt: object = { atempts: 2 }
const longest = 'a'.repeat(63)
const again = topic('orders', { carries: [placed], key: 'orderId' })

/** Cases of the rules PLY601 to PLY608. */
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
  breaking('PLY601', 'a client that may take more than there is', {
    breaks: exposing({ rateLimit: { perSecond: 10, burst: 20, perClient: { perSecond: 11, burst: 20 } } }),
    holds: exposing({ rateLimit: { perSecond: 10, burst: 20, perClient: { perSecond: 10, burst: 20 } } }),
    says: ['exposure front', 'rateLimit.perClient.perSecond', 'to 10'],
  }),
  breaking('PLY601', 'clients without number', {
    breaks: exposing({
      rateLimit: {
        perSecond: 9,
        burst: 9,
        perClient: { perSecond: 1, burst: 1, clientsMax: Number.POSITIVE_INFINITY },
      },
    }),
    holds: exposing({
      rateLimit: { perSecond: 9, burst: 9, perClient: { perSecond: 1, burst: 1, clientsMax: 1_000_000 } },
    }),
    says: ['rateLimit.perClient.clientsMax', 'nothing bounds it'],
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
    says: ['service OrderStore', 'DNS label', 'Name it "order-store"'],
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
  breaking('PLY603', 'a system of 41 letters', {
    breaks: system('a'.repeat(41), { services: [] }),
    holds: system('a'.repeat(40), { services: [] }),
    says: ['at most 40', `Name it "${'a'.repeat(40)}"`],
  }),
  breaking('PLY603', 'a service that begins with a digit', {
    breaks: tiny([service('1st', {})]),
    holds: tiny([service('first', {})]),
    says: ['beginning with a letter', 'Name it "service-1st"'],
  }),
  breaking('PLY603', 'a stand-in that begins with a digit', {
    breaks: reachingOut('24-7', true),
    holds: reachingOut('24-7', false),
    says: ['external 24-7', 'beginning with a letter', 'Name it "external-24-7"'],
  }),
  breaking('PLY603', 'a queue with a dot', {
    breaks: working(1, 1, 'e.mails'),
    holds: working(1, 1, 'E-mails'),
    says: ['queue e.mails', 'without dots'],
  }),
  breaking('PLY603', 'a version', {
    breaks: versioned({ '1.0': {}, v2: {} }),
    holds: versioned({ v1: {}, v2: {} }),
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
  breaking('PLY606', "a service that takes a part's name on a cluster", {
    breaks: tiny([service('tiny-kafka', {}), service('tiny-istio-b', {})]),
    holds: tiny([service('tiny-kafkas', {}), service('istio', {})]),
    says: ['service tiny-', /(kafka|istio-b)-service/],
  }),
  breaking('PLY606', 'a system in a namespace of something else', {
    breaks: system('kube-system', { services: [] }),
    holds: system('kubes', { services: [] }),
    says: ['system kube-system', 'belongs to something else'],
  }),
  breaking('PLY606', "a database that is Postgres' own", {
    breaks: tiny([service('a', { owns: [postgres({ name: 'template1' })] })]),
    holds: tiny([service('a', { owns: [postgres({ name: 'template' })] })]),
    says: ['store of a', 'template1'],
  }),
  breaking('PLY607', 'neither verb nor path', {
    breaks: routing('GRAB quotes/{id'),
    holds: routing('GET /quotes/{id}'),
    says: ['interface quotes-api r0', '"GRAB" is none of the verbs', 'does not begin with /', "r0: 'GET /quotes/{id}'"],
  }),
  ...(
    [
      ['a verb in small letters', 'post /quotes', 'POST /quotes', '"post" is none'],
      ['no path', 'GET', 'GET /', 'it has no path'],
      ['a space', 'GET /my quotes', 'GET /my-quotes', 'more than one space'],
      ['a query', 'GET /quotes?all=true', 'GET /quotes', 'no query'],
      ['an empty segment', 'GET //quotes', 'GET /quotes', 'a segment is empty'],
      ['a way up', 'GET /a/../quotes', 'GET /a/quotes', 'leads elsewhere'],
      ['a way up in other words', 'GET /a/%2E%2e/quotes', 'GET /a/%2Equotes', 'leads elsewhere'],
      ['a parameter in part of a segment', 'GET /quotes/q-{id}', 'GET /quotes/{id}', 'is not one `{name}`'],
      ['a parameter twice', 'GET /quotes/{id}/{id}', 'GET /quotes/{id}/{id2}', '{id} stands there twice'],
      ['another framework’s parameter', 'GET /quotes/:id', 'GET /quotes/{id}', 'not how a parameter is written'],
      ['a wildcard', 'GET /quotes/*', 'GET /quotes/', 'no path has'],
    ] as const
  ).map(([name, wrong, right, says]) =>
    breaking('PLY607', name, { breaks: routing(wrong), holds: routing(right), says: [says] }),
  ),
  breaking('PLY607', 'an external’s route', {
    breaks: bankRoute('PUT charges/{id}'),
    holds: bankRoute('PUT /charges/{id}'),
    says: ['external bank charge', "charge: 'PUT /charges/{id}'"],
  }),
  breaking('PLY607', 'two routes that match the same', {
    breaks: routing('GET /quotes/{id}', 'GET /quotes/{name}'),
    holds: routing('GET /quotes/{id}', 'PUT /quotes/{name}'),
    says: ['interface quotes-api r0 r1', 'Keep r0, and give r1'],
  }),
  breaking('PLY607', 'a stream that is no route', {
    breaks: newsOf(['updates']),
    holds: newsOf(['follow']),
    says: ['interface news-api', 'updates streams, which is no route of it', '`streams`: list and follow'],
  }),
  breaking('PLY608', 'a misspelt word', {
    breaks: calling({ deadlinMs: 100 }),
    holds: calling({ deadlineMs: 100 }),
    says: ['a → b-api.read deadlinMs', '"deadlinMs"', 'Write `deadlineMs`'],
  }),
  breaking('PLY608', 'a word within', {
    breaks: calling({ breaker: { failures: 5, openMs: 5_000, openms: 1 } }),
    holds: calling({ breaker: { failures: 5, openMs: 5_000 } }),
    says: ['Write `breaker.openMs`'],
  }),
  breaking('PLY608', 'a word a level too high', {
    breaks: calling({ attempts: 2 }),
    holds: calling({ retry: { attempts: 2 } }),
    says: ['Write `retry.attempts`'],
  }),
  breaking('PLY608', 'a word like no other', {
    breaks: calling({ toString: 2 }),
    holds: calling({}),
    says: ['Take it away, or use a word that is known there: deadlineMs, idleMs, retry, breaker, limits and fallback'],
  }),
  breaking('PLY608', 'a word of a service', {
    breaks: specified({ replica: 2 } as ServiceSpec),
    holds: specified({ replicas: 2 }),
    says: ['a replica', 'Write `replicas`'],
  }),
  breaking('PLY608', 'a word of an environment', {
    breaks: production({ storage: { brokerGB: 2 } } as EnvironmentChange),
    holds: production({ storage: { brokerGiB: 2 } }),
    says: ['Write `production.storage.brokerGiB`'],
  }),
  breaking('PLY608', 'a word of a redelivery', {
    breaks: tiny([orders, service('m', { edges: [consumes(orderEvents, [placed], { redelivery: misspelt })] })]),
    holds: tiny([orders, service('m', { edges: [consumes(orderEvents, [placed], { redelivery: { attempts: 2 } })] })]),
    says: ['m ← topic orders', 'Write `redelivery.attempts`'],
  }),
]
