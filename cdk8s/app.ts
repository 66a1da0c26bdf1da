import { ApiObject, App, Chart, YamlOutputType } from 'cdk8s'
import type { Plan } from '#plan/plan.ts'
import type { Mesh, Settings } from '#providers/cluster.ts'
import { waves } from './component.ts'
import { render } from './render.ts'

/**
 * The system as a cdk8s App, one chart a wave, numbered in their order: for those who add constructs of their
 * own to it (`new MyChart(app, …)`, with cdk8s-plus or any library), or who use the `cdk8s` command. It has the same
 * objects as `parley render`, which writes them without constructs because that takes a fraction of the time.
 */
export function cdk8sApp(plan: Plan, mesh: Mesh, settings: Settings, outdir?: string): App {
  const app = new App({ yamlOutputType: YamlOutputType.FILE_PER_CHART, ...(outdir ? { outdir } : {}) })
  const components = render(plan, mesh, settings)
  // Not by `addDependency`: between charts its cost grows with the square of their objects.
  for (const [index, wave] of waves.entries()) {
    const chart = new Chart(app, `${index + 1}-${wave}`, { disableResourceNameHashes: true })
    for (const component of components.filter((each) => each.wave === wave)) {
      for (const object of component.objects) {
        const { namespace = '', name } = object.metadata
        // The kind's group is part of its name: Linkerd and Istio both have an AuthorizationPolicy.
        new ApiObject(
          chart,
          [component.name, object.apiVersion.replace('/', '.'), object.kind, namespace, name].join(':'),
          object,
        )
      }
    }
  }
  return app
}
