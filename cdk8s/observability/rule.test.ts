import { expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { siteOf } from '#providers/cluster.ts'
import { settings } from '../workloads/testdata/cases.ts'
import { told } from './rule.ts'

test.each([
  ['https://git.example/a/shop.git', 'main', 'https://git.example/a/shop/blob/main/docs/runbook.md#a-saga-is-stuck'],
  ['https://git.example/shop', 'refs/tags/v1', 'https://git.example/shop/blob/v1/docs/runbook.md#a-saga-is-stuck'],
  ['ssh://git@git.example/shop.git', 'main', 'docs/runbook.md#a-saga-is-stuck'],
])('an alert of %s at %s leads to its page of the runbook', (url, revision, page) => {
  const site = siteOf(derive(shop, 'kind'), 'none', { ...settings, git: { url, revision } })
  const text = { summary: '', description: '', runbook: 'a-saga-is-stuck' }
  expect(told(site, { service: 'orders', severity: 'page' }, text).annotations.runbook_url).toBe(page)
})
