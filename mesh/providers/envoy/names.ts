/** The application behind this sidecar. */
export const applicationCluster = 'local/application'
/** The application's own metrics. */
export const applicationAdminCluster = 'local/application-admin'
/** Envoy's own administration, for its metrics. */
export const envoyAdminCluster = 'local/envoy-admin'

/** The cluster of a callee. The prefix keeps a service named like a system outside apart from it. */
export function calleeCluster(service: string): string {
  return `call/${service}`
}

/** The cluster of a system outside. */
export function externalCluster(external: string): string {
  return `reach/${external}`
}
