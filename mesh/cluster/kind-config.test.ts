import { expect, test } from '@jest/globals'
import { parseKindConfig } from './kind-config.ts'

test('everything that cannot be used is named at once; what only kind reads is left to it', () => {
  const ports = '[{ containerPort: 0 }, { containerPort: 30080, hostPort: 8080, protocol: TCP }]'
  expect(() =>
    parseKindConfig(`{ name: 7, nodes: [{ role: worker, extraPortMappings: ${ports} }] }`),
  ).toThrow(`kind-config.yaml cannot be used:
  name: is 7; allowed: the name of a cluster
  nodes[0].extraPortMappings[0].hostPort: is missing; allowed: a port, 1 to 65535
  nodes[0].extraPortMappings[0].containerPort: is 0; allowed: a port, 1 to 65535`)
  expect(() => parseKindConfig('a: [')).toThrow('kind-config.yaml is no YAML')
  expect(parseKindConfig('')).toEqual({ name: 'kind', nodes: 1, ports: [] })
})
