import type { Spec } from './objects.ts'

/**
 * What every proxy holds a request to before anything looks at it: its path is normalised, an escaped slash is refused
 * (a policy and the application would read it differently), and so are header names with underscores (two names could
 * mean one). Everything has a bound. `connection` is what holds for a connection beside it.
 */
export function requestBounds(connection: Spec = {}): Spec {
  return {
    request_headers_timeout: '5s',
    max_request_headers_kb: 32,
    common_http_protocol_options: {
      ...connection,
      max_headers_count: 64,
      headers_with_underscores_action: 'REJECT_REQUEST',
    },
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'REJECT_REQUEST',
  }
}
