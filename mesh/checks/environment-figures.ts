import type { Environment } from '#graph/environment.ts'
import { environmentsOf } from './edges.ts'
import { rule } from './rule.ts'
import { count } from './text.ts'

type Said = { word: string; message: string; mend: string }

/** The environments can be built. */
export const environmentFigures = rule({
  code: 'PLY605',
  title: 'An environment can be built, and loses a broker without stopping',
  why: 'A topic cannot have more copies than there are brokers; and where every copy has to be in sync, one lost broker stops every writer.',
  reference: 'Kafka, "Replication": `min.insync.replicas`',
  acceptable: false,
  check: (system) =>
    environmentsOf(system).flatMap((env) =>
      said(env).map(({ word, message, mend }) => ({
        path: [`system ${system.name}`, `environment ${env.name}`, word],
        message: `${env.name}: ${message}`,
        cost: null,
        mend,
        owners: [],
      })),
    ),
})

function said(env: Environment): Said[] {
  const { brokers, topicReplication, minInSyncReplicas } = env
  const found = countsOf(env)
    .filter(([, value]) => !(Number.isInteger(value) && value >= 1 && value <= 1_000_000))
    .map(([word, value]) => ({
      word,
      message: `${word} is ${String(value)}, which is no whole number of at least 1.`,
      mend: `Set \`environments.${env.name}.${word}\` to a whole number from 1 to ${count(1_000_000)}.`,
    }))
  if (!(env.traceSampling >= 0 && env.traceSampling <= 1)) {
    const message = `traceSampling is ${String(env.traceSampling)}; it is a share from 0 to 1.`
    found.push({ word: 'traceSampling', message, mend: `Set \`environments.${env.name}.traceSampling\` to 0.05.` })
  }
  if (topicReplication > brokers) {
    found.push({
      word: 'topicReplication',
      message: `${topicReplication} copies of each topic do not fit on ${brokers} brokers.`,
      mend: `Set \`environments.${env.name}.topicReplication\` to at most ${brokers}, or \`brokers\` to ${topicReplication}.`,
    })
  }
  if (minInSyncReplicas > topicReplication) {
    found.push({
      word: 'minInSyncReplicas',
      message: `${minInSyncReplicas} copies in sync are asked for, and there are ${topicReplication}: nothing can be written.`,
      mend: `Set \`environments.${env.name}.minInSyncReplicas\` to ${Math.max(1, topicReplication - 1)}.`,
    })
  }
  if (topicReplication > 1 && minInSyncReplicas === topicReplication) {
    found.push({
      word: 'minInSyncReplicas',
      message: `all ${topicReplication} copies have to be in sync: one lost broker stops every writer.`,
      mend: `Set \`environments.${env.name}.minInSyncReplicas\` to ${topicReplication - 1}.`,
    })
  }
  return found
}

function countsOf(env: Environment): [string, number][] {
  const { replicas, brokers, topicPartitions, topicReplication, minInSyncReplicas, databaseInstances, queueNodes } = env
  const storage = Object.entries(env.storage).map(([name, value]): [string, number] => [`storage.${name}`, value])
  return [
    ...Object.entries({
      replicas,
      brokers,
      topicPartitions,
      topicReplication,
      minInSyncReplicas,
      databaseInstances,
      queueNodes,
    }),
    ...storage,
  ]
}
