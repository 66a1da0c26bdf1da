import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { until } from '#kit/until-fixture.ts'
import { pathOf, testWith } from '../tools/need.ts'
import { startBrowser, stopBrowser } from './browser.ts'

testWith(['chromium'], 'a helper that outlives its browser is ended, and holds nothing open', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'browser-'))
  const withHelper = join(folder, 'browser')
  writeFileSync(withHelper, `#!/bin/sh\nsleep 60 &\nexec '${pathOf('chromium')}' "$@"\n`, { mode: 0o700 })
  const pipes = () => process.getActiveResourcesInfo().filter((kind) => kind === 'PipeWrap').length
  const before = pipes()
  const browser = await startBrowser(withHelper)
  expect(pipes()).toBeGreaterThan(before)
  await stopBrowser(browser)
  rmSync(folder, { recursive: true })
  await until(() => pipes() === before, 'its pipes are closed', 2_000)
})
