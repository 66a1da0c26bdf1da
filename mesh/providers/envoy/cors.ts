import type { PlannedExposure } from '#plan/plan.ts'
import { corsOf } from '../cors.ts'
import { type Config, extension, typed } from './config.ts'

const name = 'envoy.filters.http.cors'

/** Answers the question that a browser asks before it calls another origin, so that none reaches the application. */
export const corsFilter: Config = extension(name, 'extensions.filters.http.cors.v3.Cors')

/** What one exposure's routes say to pages of other origins, for `typed_per_filter_config`. */
export function corsPolicy(exposure: PlannedExposure): Config {
  const cors = corsOf(exposure)
  if (!cors) return {}
  return {
    [name]: typed('extensions.filters.http.cors.v3.CorsPolicy', {
      allow_origin_string_match: cors.origins.map((origin) =>
        origin === '*' ? { safe_regex: { regex: '.*' } } : { exact: origin },
      ),
      allow_methods: cors.methods.join(', '),
      allow_headers: cors.allowHeaders.join(', '),
      expose_headers: cors.exposeHeaders.join(', '),
      max_age: String(cors.maxAgeSeconds),
      // A question of another origin is answered too, with nothing: it is not the application's to hear.
      forward_not_matching_preflights: false,
    }),
  }
}
