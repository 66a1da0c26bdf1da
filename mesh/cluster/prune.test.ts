import { expect, test } from '@jest/globals'
import { render } from '#cdk8s/render.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { settingsOf } from '#test/fixtures/rendered.ts'
import { leftovers } from './prune.ts'

test('a command leaves what every other way onto a cluster leaves, and namespaces with all that is in them', () => {
  const objects = render(derive(shop, 'production'), 'none', settingsOf('production')).flatMap((one) => one.objects)
  const owned = objects.map((object) => {
    const [group = '', version = ''] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', 'v1']
    return { object, kind: { group, version, kind: object.kind, resource: '', namespaced: true, verbs: [] } }
  })
  const keptElsewhere = objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep')
  expect(keptElsewhere.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['DatabaseRole', 'Queue', 'Policy']))
  const { kept } = leftovers(owned, new Set())
  expect(kept.map(({ object }) => object).filter(({ kind }) => kind !== 'Namespace')).toEqual(keptElsewhere)
})
