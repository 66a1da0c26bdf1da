import type { ProcessSpec } from '../process.ts'

/**
 * A part of the run that is not ours: a broker, a database, a telemetry store. It is an ordinary process to the
 * supervisor. Each file of this folder makes one: `kafkaPart(plan, layout, tools)`, null where the plan needs none.
 */
export type Part = ProcessSpec & { readonly kind: 'part' }

/** The programs that parts run on, as absolute paths; a subset of what the toolchain gives. */
export type PartTools = {
  readonly java: string
  /** Kafka's jars, as Java takes them: `<folder>/*`. */
  readonly kafkaClasspath: string
  readonly zipkinJar: string
  /** The folder of `postgres`, `initdb`. */
  readonly postgresBin: string
  /** The folder of `rabbitmq-server`, `rabbitmqctl`. */
  readonly rabbitmqSbin: string
  readonly prometheus: string
}
