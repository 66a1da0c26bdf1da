import { type Kafka, type KafkaClient, KafkaError, type KafkaOptions } from './port.ts'

/**
 * The way to Kafka, by the client that `adapter` or the variable `KAFKA_CLIENT` names. Default kafkajs. Only the chosen
 * client's code is loaded. Rejects with `BAD_OPTIONS` for another name, no broker, or TLS files that cannot be read.
 */
export async function connect(options: KafkaOptions & { readonly adapter?: KafkaClient }): Promise<Kafka> {
  const client = options.adapter ?? process.env.KAFKA_CLIENT ?? 'kafkajs'
  if (options.brokers.length === 0) throw new KafkaError('BAD_OPTIONS', 'No Kafka broker is given: set `brokers`.')
  if (client === 'kafkajs') return (await import('./kafkajs.ts')).connectKafkajs(options)
  if (client === 'platformatic') return (await import('./platformatic.ts')).connectPlatformatic(options)
  throw new KafkaError('BAD_OPTIONS', `KAFKA_CLIENT is "${client}": it must be kafkajs or platformatic.`)
}
