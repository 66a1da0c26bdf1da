import { join } from 'node:path'
import { type Machine, programs } from './machine.ts'
import type { MissingPackage } from './packages.ts'
import type { FetchedTool } from './tools.ts'

/** The clients of the package registries, as absolute paths; null where none was found, or none is needed. */
export type Clients = Readonly<Record<FetchedTool['client'], string | null>>

const packages: Readonly<Record<FetchedTool['client'], MissingPackage>> = {
  maven: { title: 'Maven', packageOf: () => 'maven', lookedFor: '`mvn` on the PATH' },
  pip: { title: 'pip', packageOf: () => 'python3-pip', lookedFor: '`python3 -m pip`, with python3 on the PATH' },
}

/** Looks for the clients that these tools are fetched with, and tells which are missing. May start processes to ask. */
export async function findClients(
  machine: Machine,
  tools: readonly FetchedTool[],
): Promise<{ readonly clients: Clients; readonly missing: readonly MissingPackage[] }> {
  const needed = new Set(tools.map(({ client }) => client))
  const clients = {
    maven: needed.has('maven') ? (programs(machine, 'mvn')[0] ?? null) : null,
    pip: needed.has('pip') ? await pythonWithPip(machine) : null,
  }
  return {
    clients,
    missing: [...needed].filter((client) => clients[client] === null).map((client) => packages[client]),
  }
}

/** A Python that has pip, as an absolute path; null where there is none. One put in front of the distribution's may lack it. */
export async function pythonWithPip(machine: Machine): Promise<string | null> {
  const pythons = [
    ...programs(machine, 'python3'),
    ...programs({ ...machine, path: [join(machine.root, 'usr/bin')] }, 'python3'),
  ]
  for (const python of new Set(pythons)) {
    const { exitCode } = await machine.run([python, '-m', 'pip', '--version'])
    if (exitCode === 0) return python
  }
  return null
}
