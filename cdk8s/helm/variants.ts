import type { Plan } from '#plan/plan.ts'
import { type Mesh, meshes, type Settings, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { Component } from '../component.ts'
import { render } from '../render.ts'
import { type Answers, agree, type Case, type Choice, combinations } from './cases.ts'
import { bareToken, token } from './tokens.ts'

/** The plan of a system for each environment that a cluster may be. */
export type Plans = Readonly<Record<ClusterEnvironment, Plan>>
/** The environments of a cluster. */
export type ClusterEnvironment = Exclude<Site['environment'], 'local'>

/** The environments of a cluster, each a value of the chart. */
export const clusterEnvironments = ['kind', 'production'] as const satisfies readonly ClusterEnvironment[]

/** One object of the chart in all its cases: the file it belongs to, and the choices that its cases answer. */
export type VariedObject = {
  readonly file: string
  readonly cases: readonly Case[]
  readonly choices: readonly Choice[]
}

/** Numbers that nothing else has, in the place of ports. */
const nodePorts = { http: 31_987, https: 31_988 } as const
const backupPort = 31_989
const apiServer = { cidrs: ['192.0.2.1/32'], port: 31_990 } as const
/** An address, since its port is asked for; the whole of it is the value. */
const backupEndpoint = `https://backup.invalid:${backupPort}`

/**
 * Every object of a system as it is for each answer to the choices that it depends on. What an object depends on is found
 * by changing one answer at a time, from three ends; then all combinations of just those are rendered. `git`, where the runbook
 * is, is the same in all.
 */
export function variedObjects(plans: Plans, git: Settings['git']): readonly VariedObject[] {
  const choices = choicesOf(plans, '')
  const rendered = renderings(plans, git)
  const always = choices.filter(({ name }) => name === 'environment' || name === 'mesh')
  const others = choices.filter((choice) => !always.includes(choice))
  const isHost = (name: string) => name.startsWith('hosts.')
  // Beside the two ends one where no exposure has a host: where all have one, taking one away leaves the others.
  const ends = [() => 0, () => -1, (name: string) => (isHost(name) ? -1 : 0)].flatMap((end) =>
    combinations(always).map((answers) => ({
      ...Object.fromEntries(others.map(({ name, answers }) => [name, answers.at(end(name))?.name ?? ''])),
      ...answers,
    })),
  )
  const dependsOn = new Map<string, Set<string>>()
  for (const end of ends) for (const choice of others) addDependents(dependsOn, rendered, end, choice)
  return [...dependsOn].map(([key, names]) => {
    const own = choicesOf(plans, serviceOf(key, plans)).filter(
      (choice) => always.some(({ name }) => name === choice.name) || names.has(choice.name),
    )
    const cases = combinations(own).map((answers) => ({
      answers,
      value: rendered({ ...ends[0], ...answers }).get(key),
    }))
    const file = key.slice(0, key.indexOf(' '))
    return { file, cases, choices: own }
  })
}

type Rendered = (answers: Answers) => ReadonlyMap<string, Manifest>

function addDependents(into: Map<string, Set<string>>, rendered: Rendered, end: Answers, choice: Choice): void {
  const sides = choice.answers.map(({ name }) => rendered({ ...end, [choice.name]: name }))
  for (const key of new Set(sides.flatMap((side) => [...side.keys()]))) {
    const names = into.get(key) ?? new Set()
    if (!agree(sides.map((side) => ({ answers: {}, value: side.get(key) })))) names.add(choice.name)
    into.set(key, names)
  }
}

/** Renders each combination of answers once. */
function renderings(plans: Plans, git: Settings['git']): Rendered {
  const known = new Map<string, ReadonlyMap<string, Manifest>>()
  return (answers) => {
    const name = JSON.stringify(Object.entries(answers).sort())
    const there = known.get(name)
    if (there) return there
    const plan = plans[answers.environment as ClusterEnvironment]
    const under = (replicas: number) =>
      objectsOf(render(plan, answers.mesh as Mesh, { ...settingsFor(plan, answers, replicas), git }))
    const objects = under(answers.replicas === 'many' ? 2 : 1)
    if (answers.replicas === 'many') alike(objects, under(7))
    known.set(name, objects)
    return objects
  }
}

/** Whether objects say the same for another number of replicas: else a number follows from it that no token stands for. */
function alike(objects: ReadonlyMap<string, Manifest>, others: ReadonlyMap<string, Manifest>): void {
  for (const [key, object] of objects) {
    if (JSON.stringify(object) === JSON.stringify(others.get(key))) continue
    throw new Error(
      `The chart cannot say how ${key} follows from the number of replicas; cdk8s/helm/variants.ts has the fields that do.`,
    )
  }
}

function objectsOf(components: readonly Component[]): ReadonlyMap<string, Manifest> {
  return new Map(
    components.flatMap(({ wave, name, objects }) =>
      objects.map((object) => {
        const { namespace = '', name: own } = object.metadata
        const key = `${wave}/${name} ${object.kind} ${object.apiVersion} ${namespace} ${own}`
        return [key, tokenized(withReplicas(object, name)) as Manifest] as const
      }),
    ),
  )
}

function serviceOf(key: string, plans: Plans): string {
  const name = key.slice(key.indexOf('/') + 1, key.indexOf(' '))
  return plans.production.services.some((service) => service.name === name) ? name : ''
}

/** What the values of the chart decide. The condition on replicas is that of one service. */
function choicesOf({ production }: Plans, service: string): readonly Choice[] {
  const given = (name: string, value = `.Values.${name}`) => ({
    name,
    answers: [
      { name: 'given', condition: value },
      { name: 'none', condition: `not (${value})` },
    ],
  })
  const oneOf = (name: string, values: readonly string[]) => ({
    name,
    answers: values.map((value) => ({ name: value, condition: `eq .Values.${name} "${value}"` })),
  })
  return [
    oneOf('environment', clusterEnvironments),
    oneOf('mesh', meshes),
    given('keda'),
    {
      name: 'backup',
      answers: [
        { name: 'endpoint', condition: 'and .Values.backup .Values.backup.endpoint' },
        { name: 'cloud', condition: 'and .Values.backup (not .Values.backup.endpoint)' },
        { name: 'none', condition: 'not .Values.backup' },
      ],
    },
    given('nodePorts'),
    given('apiServer'),
    given('clusterIssuer'),
    given('storageClass'),
    given('imagePullSecrets'),
    given('digest', '.Values.image.digest'),
    ...production.exposures.map(({ name }) => given(`hosts.${name}`, `get .Values.hosts "${name}"`)),
    {
      name: 'replicas',
      answers: [
        { name: 'many', condition: `gt (include "replicas" (list $ "${service}") | int) 1` },
        { name: 'one', condition: `eq (include "replicas" (list $ "${service}") | int) 1` },
      ],
    },
  ]
}

function settingsFor(plan: Plan, answers: Answers, replicas: number): Omit<Settings, 'git'> {
  const given = <T>(name: string, value: T) => (answers[name] === 'given' ? value : null)
  return {
    image: {
      repository: token('image.repository'),
      tag: token('image.tag'),
      digest: given('digest', token('image.digest')),
    },
    imagePullSecrets: given('imagePullSecrets', [pullSecret]) ?? [],
    hosts: Object.fromEntries(
      plan.exposures.flatMap(({ name }) =>
        answers[`hosts.${name}`] === 'given' ? [[name, token(`hosts.${name}`)]] : [],
      ),
    ),
    replicas: Object.fromEntries(plan.services.map(({ name }) => [name, replicas])),
    storageClass: given('storageClass', token('storageClass')),
    clusterIssuer: given('clusterIssuer', token('clusterIssuer')),
    nodePorts: given('nodePorts', nodePorts),
    keda: answers.keda === 'given',
    backup:
      answers.backup === 'none'
        ? null
        : {
            destination: token('backup.destination'),
            endpoint: answers.backup === 'endpoint' ? backupEndpoint : null,
            secret: token('backup.secret'),
            retention: token('backup.retention'),
            schedule: token('backup.schedule'),
          },
    apiServer: given('apiServer', apiServer),
  }
}

const pullSecret = token('pullSecret')

/** Where the number of a service's replicas shows, by kind; the formula is a helper of the chart. */
function withReplicas(object: Manifest, component: string): Manifest {
  switch (object.kind) {
    case 'Deployment':
      return object.metadata.name === component
        ? replaced(object, ['spec', 'replicas'], bareToken(`replicas.${component}`))
        : object
    case 'HorizontalPodAutoscaler':
      return bounded(object, component, 'minReplicas', 'maxReplicas')
    case 'ScaledObject':
      return bounded(object, component, 'minReplicaCount', 'maxReplicaCount')
    case 'DatabaseRole':
      return replaced(object, ['spec', 'connectionLimit'], bareToken(`connections.${component}`))
    case 'Cluster':
      return replaced(object, ['spec', 'postgresql', 'parameters', 'max_connections'], token('connections'))
    default:
      return object
  }
}

function bounded(object: Manifest, component: string, least: string, most: string): Manifest {
  const one = replaced(object, ['spec', least], bareToken(`replicas.${component}`))
  return replaced(one, ['spec', most], bareToken(`replicasMax.${component}`))
}

function replaced<T>(value: T, [key, ...rest]: readonly string[], by: unknown): T {
  if (key === undefined) return by as T
  const fields = value as Readonly<Record<string, unknown>> | undefined
  if (fields?.[key] === undefined) return value
  return { ...fields, [key]: replaced(fields[key], rest, by) } as T
}

/** Lists that a value of the chart makes as a whole, as they are written. */
const lists: Readonly<Record<string, string>> = {
  [JSON.stringify([{ name: pullSecret }])]: 'imagePullSecrets',
  [JSON.stringify(apiServer.cidrs.map((cidr) => ({ ipBlock: { cidr } })))]: 'apiServer.peers',
}

function tokenized(value: unknown): unknown {
  if (value === backupEndpoint) return token('backup.endpoint')
  if (typeof value === 'string') {
    return value.replace(/\b31987\b/g, token('nodePorts.http')).replace(/\b31988\b/g, token('nodePorts.https'))
  }
  if (value === nodePorts.http) return bareToken('nodePorts.http')
  if (value === nodePorts.https) return bareToken('nodePorts.https')
  if (value === backupPort) return bareToken('backup.port')
  if (value === apiServer.port) return bareToken('apiServer.port')
  if (Array.isArray(value)) {
    const list = lists[JSON.stringify(value)]
    return list === undefined ? value.map(tokenized) : bareToken(list)
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(entries.map(([key, field]) => [key, tokenized(field)]))
}
