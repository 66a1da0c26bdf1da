import { type Config, extension, watchedFile } from './config.ts'
import { secretFileNames } from './secrets.ts'
import type { EnvoySite } from './site.ts'

/** TLS 1.3 only, and no resumption: each connection is held against the authority that is trusted now. */
const tlsParams = { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' }

/** The server's end: whoever connects shows a certificate of the authority with an identity of this namespace. */
export function downstreamTls(site: EnvoySite, identityPrefix: string): Config {
  return extension('tls', 'extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    disable_stateless_session_resumption: true,
    disable_stateful_session_resumption: true,
    common_tls_context: mutualContext(site, { prefix: identityPrefix }),
  })
}

/** Under this name a connection keeps its caller's identity, for routes that differ by caller. */
export const callerKey = 'parley.caller'

/** Notes the caller's identity, once a connection. */
export const noteCaller: Config = extension(
  'envoy.filters.network.set_filter_state',
  'extensions.filters.network.set_filter_state.v3.Config',
  {
    on_downstream_tls_handshake: [
      {
        object_key: callerKey,
        factory_key: 'envoy.string',
        format_string: { text_format_source: { inline_string: '%DOWNSTREAM_PEER_URI_SAN%' } },
      },
    ],
  },
)

/** The client's end: the callee shows exactly the identity that the plan gives it, whatever its address. */
export function upstreamTls(site: EnvoySite, callee: string, identity: string): Config {
  return extension('tls', 'extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni: callee,
    max_session_keys: 0,
    common_tls_context: mutualContext(site, { exact: identity }),
  })
}

/** TLS towards a system outside, as any browser would open it: public authorities, its DNS name. */
export function publicTls(site: EnvoySite, host: string): Config {
  return extension('tls', 'extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni: host,
    common_tls_context: {
      tls_params: { tls_minimum_protocol_version: 'TLSv1_2' },
      validation_context: {
        trusted_ca: { filename: site.publicAuthorities },
        match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: host } }],
      },
    },
  })
}

function mutualContext(site: EnvoySite, identity: Config): Config {
  return {
    tls_params: tlsParams,
    alpn_protocols: ['h2'],
    tls_certificate_sds_secret_configs: [
      { name: 'certificate', sds_config: watchedFile(site.certificatesDir, secretFileNames.certificate) },
    ],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: identity }] },
      validation_context_sds_secret_config: {
        name: 'authority',
        sds_config: watchedFile(site.certificatesDir, secretFileNames.authority),
      },
    },
  }
}
