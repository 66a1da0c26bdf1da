import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { command, module } from '#graph/start.ts'
import { system } from '#graph/system.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { projectDir } from './load.ts'
import { missingPrograms } from './programs.ts'

test('names the service without a program and where it was looked for, and asks nothing of a command', () => {
  const services = [
    service('pricing', {}),
    service('reports', { start: module('reports/start.ts') }),
    service('words', { start: command('python3', 'nowhere.py') }),
    service('orders', {}),
  ]
  expect(missingPrograms(derive(system('some', { services }), 'local'), projectDir)).toEqual([
    `pricing starts ${join(projectDir, 'services/pricing/main.ts')}`,
    `reports starts ${join(projectDir, 'reports/start.ts')}`,
  ])
  expect(missingPrograms(derive(shop, 'local'), projectDir)).toEqual([])
})
