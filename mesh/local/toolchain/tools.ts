import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isFile, type Machine, names, programs, resolved } from './machine.ts'
import { kafkaPins, type Pins } from './pins.ts'
import type { Release } from './release.ts'

/** What a run can stand on, beside Node. */
export type ToolName = PackagedName | FetchedName
/** The tools that are found on the machine. */
export type PackagedName = 'java' | 'postgres' | 'rabbitmq' | 'prometheus'
/** The tools that are fetched into the tools folder. */
export type FetchedName = 'kafka' | 'zipkin' | 'envoy'

/** A program that the distribution packages: signed and versioned by the distribution, found where its package puts it. */
export type PackagedTool = {
  readonly title: string
  readonly licence: string
  /** The package that holds it. */
  readonly packageOf: (release: Release) => string
  /** Where we look, for people who install it by hand. */
  readonly lookedFor: string
  /** Its absolute path on this machine; null when there is none that we can use. */
  readonly find: (machine: Machine) => string | null
}

/** A tool that a package registry's client brings into the tools folder, pinned file by file. */
export type FetchedTool = {
  readonly name: FetchedName
  readonly title: string
  /** Where its files go, below the tools folder. */
  readonly folder: string
  readonly licence: string
  readonly client: 'maven' | 'pip'
  /** The file beside this one that tells the client what to fetch. */
  readonly descriptor: string
  /** What the client brings, for this machine's architecture. */
  readonly pins: Readonly<Record<Architecture, Pins>>
}

/** What the local run is built for, in Node's words. */
export type Architecture = 'x64' | 'arm64'

/** All tools that packages of the distribution hold. */
export const packagedNames: readonly PackagedName[] = ['java', 'postgres', 'rabbitmq', 'prometheus']

/** What each package of the distribution is good for, and where to find it. */
export const packagedTools: Readonly<Record<PackagedName, PackagedTool>> = {
  java: {
    title: 'Java 17 or newer',
    licence: 'GPL-2.0-only WITH Classpath-exception-2.0',
    packageOf: ({ id, version }) =>
      version < (id === 'debian' ? 13 : 25) ? 'openjdk-17-jre-headless' : 'default-jre-headless',
    lookedFor: '`java` on the PATH or below /usr/lib/jvm',
    find: findJava,
  },
  postgres: {
    title: 'PostgreSQL 14 or newer',
    licence: 'PostgreSQL',
    packageOf: () => 'postgresql',
    lookedFor: '`postgres` and `initdb` in /usr/lib/postgresql/*/bin',
    find: findPostgres,
  },
  rabbitmq: {
    title: 'RabbitMQ',
    licence: 'MPL-2.0',
    packageOf: () => 'rabbitmq-server',
    lookedFor: '`rabbitmq-server` in /usr/lib/rabbitmq/lib/*/sbin',
    find: findRabbitmq,
  },
  prometheus: {
    title: 'Prometheus',
    licence: 'Apache-2.0',
    packageOf: () => 'prometheus',
    lookedFor: '`prometheus` on the PATH',
    find: (machine) => programs(machine, 'prometheus')[0] ?? null,
  },
}

/** The one file of Zipkin. */
export const zipkinJar = 'zipkin-server-3.5.1-exec.jar'

const zipkinPins: Pins = {
  [zipkinJar]: '7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d',
}

/** What is fetched, in which version, and what each of its files must be. */
export const fetchedTools: Readonly<Record<FetchedName, FetchedTool>> = {
  kafka: {
    name: 'kafka',
    title: 'Kafka 4.3.1',
    folder: 'kafka-4.3.1/libs',
    licence: 'Apache-2.0',
    client: 'maven',
    descriptor: 'kafka.pom.xml',
    pins: { x64: kafkaPins, arm64: kafkaPins },
  },
  zipkin: {
    name: 'zipkin',
    title: 'Zipkin 3.5.1',
    folder: 'zipkin-3.5.1',
    licence: 'Apache-2.0',
    client: 'maven',
    descriptor: 'zipkin.pom.xml',
    pins: { x64: zipkinPins, arm64: zipkinPins },
  },
  envoy: {
    name: 'envoy',
    title: 'Envoy 1.40.0',
    folder: 'envoy-1.40.0',
    licence: 'Apache-2.0',
    client: 'pip',
    descriptor: 'envoy.requirements.txt',
    pins: {
      x64: { envoy: '8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80' },
      arm64: { envoy: '03cacc952561635c0b7d2a829291f341dadbebc32050475efbe7321b1bbe18c2' },
    },
  },
}

const javaMin = 17
const postgresMin = 14

/** Every tool there is, beside Node. */
export const toolNames: readonly ToolName[] = [...packagedNames, 'kafka', 'zipkin', 'envoy']

/** Whether a word that a person typed names a tool. */
export function isToolName(name: string): name is ToolName {
  return toolNames.some((known) => known === name)
}

/** Reads the version beside the program, as every JDK has it, rather than start a virtual machine to ask. */
function findJava(machine: Machine): string | null {
  const jvms = join(machine.root, 'usr/lib/jvm')
  const candidates = [...programs(machine, 'java'), ...names(jvms).map((name) => join(jvms, name, 'bin/java'))]
  return candidates.map(resolved).find((java) => java !== null && javaVersion(java) >= javaMin) ?? null
}

function javaVersion(java: string): number {
  const release = join(dirname(java), '../release')
  const version = isFile(release) ? /^JAVA_VERSION="(\d+)/m.exec(readFileSync(release, 'utf8')) : null
  return Number(version?.[1] ?? 0)
}

/** The folder of the newest release that is complete. */
function findPostgres(machine: Machine): string | null {
  const folder = join(machine.root, 'usr/lib/postgresql')
  const releases = names(folder)
    .map(Number)
    .filter((release) => release >= postgresMin)
  return (
    releases
      .sort((a, b) => b - a)
      .map((release) => join(folder, `${release}/bin`))
      .find((bin) => isFile(join(bin, 'postgres')) && isFile(join(bin, 'initdb'))) ?? null
  )
}

/** The scripts themselves: those on the PATH are wrappers that insist on the system's own user and node. */
function findRabbitmq(machine: Machine): string | null {
  const folder = join(machine.root, 'usr/lib/rabbitmq/lib')
  return (
    names(folder)
      .map((name) => join(folder, name, 'sbin'))
      .find((sbin) => isFile(join(sbin, 'rabbitmq-server'))) ?? null
  )
}
