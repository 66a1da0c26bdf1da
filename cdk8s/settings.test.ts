import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { leastSettings } from '#test/fixtures/settings.ts'
import { filesOf } from './files.ts'
import { render } from './render.ts'
import { parseSettings } from './settings.ts'

const least = `
image: { repository: registry.example/shop, tag: "1" }
git: { url: https://git.example/shop.git, revision: main }
`

test('what is absent gets its default', () => {
  expect(parseSettings(least, 'a.yaml')).toEqual(leastSettings)
})

test.each(['kind', 'production'])('the settings of %s are whole', (environment) => {
  const file = `charts/settings/${environment}.yaml`
  expect(parseSettings(readFileSync(file, 'utf8'), file).image.repository).toMatch(/services$/)
})

test('every wrong field is named at once, with the file and what is allowed', () => {
  const text = `${least}
hosts: { shop: "a b" }
replicas: { orders: 0, "Or ders": 2 }
nodePorts: { http: 80, https: 30443 }
keda: "yes"
imagePullSecrets: [a, a]
backup: {}
colour: blue
`
  expect(() => parseSettings(text, 'a.yaml')).toThrow(`a.yaml cannot be used:
  hosts.shop: is "a b"; allowed: a host name: labels of a-z, 0-9 and -, joined by dots
  replicas.orders: is 0; allowed: a number of replicas, 1 to 1000
  replicas.Or ders: is no name of a service; allowed: replicas by service
  nodePorts.http: is 80; allowed: a node port, 30000 to 32767
  keda: is "yes"; allowed: true or false
  imagePullSecrets: names one thing twice; allowed: names of Secrets with which images are pulled
  backup.destination: is missing; allowed: an address of an object store: s3://bucket/folder
  backup.secret: is missing; allowed: the name of a Secret with ACCESS_KEY_ID and ACCESS_SECRET_KEY
  backup.retention: is missing; allowed: a number of days, weeks or months: 30d, 4w, 6m
  backup.schedule: is missing; allowed: six fields of cron, seconds first: 0 0 2 * * *
  colour: is not known; allowed here: image, imagePullSecrets, hosts, replicas, storageClass, clusterIssuer, nodePorts, keda, backup, apiServer, git`)
})

test('names of services and exposures that a system does not have are refused, with those it has', () => {
  const settings = parseSettings(`${least}hosts: { nope: x.example }\nreplicas: { orders: 2, ordrs: 3 }\n`, 'a.yaml')
  const plan = derive(shop, 'production')
  const names = (nodes: readonly { name: string }[]) => nodes.map(({ name }) => name).join(', ')
  const message = `The settings of production name what shop does not have:
  hosts.nope: is no name of an exposure; allowed: ${names(plan.exposures)}
  replicas.ordrs: is no name of a service; allowed: ${names(plan.services)}
`
  expect(() => render(plan, 'istio', settings)).toThrow(message)
  expect(() => filesOf(plan, 'istio', settings)).toThrow(message)
})

describe('what no settings file says', () => {
  test.each([
    ['', 'the file: is null; allowed: the settings of an environment'],
    ['a: [', 'a.yaml is no YAML'],
    [least.replace('shop, tag', 'shop:latest, tag'), 'image.repository'],
    [least.replace('"1"', '1'), 'image.tag: is 1'],
    [`${least}hosts: { shop: "a.example\\n" }`, 'hosts.shop'],
    [`${least}storageClass: [fast]`, 'storageClass'],
    [`${least}backup: { endpoint: "http://objects.example" }`, 'backup.endpoint: is "http://objects.example"'],
    [`${least}apiServer: { cidrs: [10.0.0.1], port: 443 }`, 'apiServer.cidrs[0]: is "10.0.0.1"'],
    [least.replace('"1"', '"1", digest: "sha256:12"'), 'image.digest'],
  ])('%j', (text, message) => {
    expect(() => parseSettings(text, 'a.yaml')).toThrow(message)
  })
})
