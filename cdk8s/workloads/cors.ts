import type { PlannedExposure } from '#plan/plan.ts'
import { corsOf } from '#providers/cors.ts'

/** What a page from elsewhere may do, as the Gateway API and Envoy Gateway both say it; null where none may. */
export function corsFilterOf(exposure: PlannedExposure) {
  const cors = corsOf(exposure)
  if (!cors) return null
  const { origins, methods, allowHeaders, exposeHeaders, maxAgeSeconds } = cors
  return { allowOrigins: origins, allowMethods: methods, allowHeaders, exposeHeaders, maxAge: maxAgeSeconds }
}
