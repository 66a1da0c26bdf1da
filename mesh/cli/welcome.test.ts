import { expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { welcome } from './welcome.ts'

test('says what is spoken at each way in', () => {
  const names = ['gateway', 'storefront', 'orders', 'prometheus']
  const urls = names.map((name, index) => ({ name, url: `http://localhost:${8080 + index}` }))
  const lines = welcome(derive(shop, 'local'), urls, 'is ready').split('\n')
  expect(lines.slice(3, 7).map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['gateway', 'http://localhost:8080', 'REST'],
    ['storefront', 'http://localhost:8081', 'GraphQL'],
    ['orders', 'http://localhost:8082', 'gRPC and gRPC-Web'],
    ['prometheus', 'http://localhost:8083'],
  ])
})
