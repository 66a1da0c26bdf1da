/**
 * What the `cdk8s` command runs (`cdk8s.yaml`): synthesises the shop's charts to `dist/`. PARLEY_ENVIRONMENT (kind, production;
 * default kind) and MESH (istio, linkerd, none; default istio) choose. `bin/parley render` writes the same objects, faster.
 */
import { cdk8sApp } from '#cdk8s/app.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { clusterEnvironment, meshName, settingsFor } from '../environments.ts'

const environment = clusterEnvironment(process.env.PARLEY_ENVIRONMENT || 'kind')
const mesh = meshName(process.env.MESH || 'istio')
cdk8sApp(derive(shop, environment), mesh, settingsFor(environment)).synth()
