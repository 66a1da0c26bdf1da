/**
 * What the `cdk8s` command runs (`cdk8s.yaml`): writes the shop's charts to `dist/`. PARLEY_ENVIRONMENT (kind, production;
 * default kind) and MESH (istio, linkerd, none; default istio) choose. `bin/parley render` writes the same objects, faster.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { meshes } from '#providers/cluster.ts'
import { cdk8sApp } from './app.ts'
import { parseSettings } from './settings.ts'

const environment = oneOf('PARLEY_ENVIRONMENT', ['kind', 'production'])
const mesh = oneOf('MESH', meshes)
const settingsFile = join(import.meta.dirname, `../charts/settings/${environment}.yaml`)
const settings = parseSettings(readFileSync(settingsFile, 'utf8'), settingsFile)
cdk8sApp(derive(shop, environment), mesh, settings).synth()

function oneOf<const T extends string>(name: string, allowed: readonly T[]): T {
  const given = process.env[name] || allowed[0]
  const found = allowed.find((each) => each === given)
  if (found === undefined) throw new Error(`${name} is ${given}; it may be ${allowed.join(', ')}.`)
  return found
}
