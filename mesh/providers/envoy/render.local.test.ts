/** What is rendered, held against the only judge of it: a real Envoy takes every golden case whole. */
import { join } from 'node:path'
import { expect, jest, test } from '@jest/globals'
import { inotifyInstancesOf } from '#local/supervisor/inotify.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import { render, watchedFiles } from './render.ts'
import { cases, siteOf } from './testdata/cases.ts'
import { administration, counter, startAlone } from './testdata/testbed.ts'

jest.setTimeout(20_000)

test.each(cases)('$name', async (one) => {
  const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../../.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => undefined })
  const { layout, pids, stop } = await startAlone(envoy, one)
  try {
    expect(await counter(layout, one.service, 'update_rejected')).toBe(0)
    const listeners = (await administration(layout, one.service, '/listeners')).trim().split('\n')
    expect(listeners.map((line) => line.split('::')[0]).sort()).toEqual(listenerNames(one).sort())
    const watched = watchedFiles(render(one.plan, one.service, siteOf(one.plan, one.service)))
    expect(inotifyInstancesOf(pids[0] ?? 0)).toBe(watched.size)
  } finally {
    await stop()
  }
})

function listenerNames({ plan, service }: (typeof cases)[number]): string[] {
  const { 'bootstrap.json': bootstrap } = render(plan, service, siteOf(plan, service))
  const { static_resources } = bootstrap as { static_resources: { listeners: { name: string }[] } }
  return static_resources.listeners.map(({ name }) => name)
}
