import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '#proto/grpc/health/v1/health_pb.ts'
import type { App } from '../app/lifecycle.ts'
import { pause } from '../app/pause.ts'
import { notFound } from '../errors.ts'
import { type Implementation, implement } from './implementation.ts'

/** How often a watched state is looked at. */
const watchEveryMs = 500

/** gRPC health: `SERVING` exactly while `/readyz` is 200, for the whole server and for each service by its full name. */
export function healthService(app: App, services: readonly string[]): Implementation<typeof Health> {
  const known = (service: string) => service === '' || services.includes(service)
  const now = async () => {
    const reasons = await app.notReady()
    return Object.keys(reasons).length === 0 ? ServingStatus.SERVING : ServingStatus.NOT_SERVING
  }
  return implement(Health, {
    async check({ service }) {
      if (!known(service)) throw notFound(`This server has no service ${service}; it has ${services.join(', ')}.`)
      return { status: await now() }
    },
    async *watch({ service }, { signal }) {
      let last: ServingStatus | undefined
      while (!signal.aborted && !app.stopping.aborted) {
        const status = known(service) ? await now() : ServingStatus.SERVICE_UNKNOWN
        if (status !== last) yield { status }
        last = status
        await pause(watchEveryMs, AbortSignal.any([signal, app.stopping]))
      }
      if (!signal.aborted) yield { status: ServingStatus.NOT_SERVING }
    },
  })
}
