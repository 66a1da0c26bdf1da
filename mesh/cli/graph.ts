import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { mermaid } from '#mesh/diagram/mermaid.ts'
import { svg } from '#mesh/diagram/svg.ts'
import { UsageError } from './exit.ts'
import { print, systemOption } from './output.ts'
import { checkedPlan, environmentOption } from './plan.ts'

/** `parley graph`: the system as a picture, Mermaid on standard output or SVG into a file. */
export function graphCommand(program: Command): void {
  program
    .command('graph')
    .description('draw the system: who talks to whom, by which policy, across which boundary')
    .option(...systemOption)
    .option(...environmentOption)
    .option('--svg <file>', 'write an SVG into this file instead of printing Mermaid')
    .option('--json', 'print the nodes and edges of the plan as JSON')
    .action(async (options: { system?: string; environment: string; svg?: string; json?: boolean }) => {
      const plan = await checkedPlan(options)
      if (!plan) return
      if (options.svg) return write(options.svg, svg(plan))
      const { services, links, topics, subscriptions, queues, egress, exposures } = plan
      print(
        options.json
          ? JSON.stringify({ services, links, topics, subscriptions, queues, egress, exposures }, null, 2)
          : mermaid(plan),
      )
    })
}

function write(file: string, content: string): void {
  try {
    writeFileSync(resolve(file), content)
  } catch (error) {
    throw new UsageError(`${resolve(file)} cannot be written: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
  print(`Written: ${resolve(file)}`)
}
