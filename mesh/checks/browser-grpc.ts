import { byName } from './edges.ts'
import { exposureOwner, rule, serviceOwner } from './rule.ts'

/** A browser is offered what it can speak. */
export const browserGrpc = rule({
  code: 'PLY401',
  title: 'Browsers never meet raw gRPC',
  why: 'A browser cannot read HTTP/2 trailers, so it cannot speak gRPC. The interface works with every tool but the one it was made for.',
  reference: 'gRPC, "gRPC-Web protocol" (PROTOCOL-WEB.md)',
  check: (system) =>
    byName(system.exposures)
      .filter(({ client, api, grpcWeb }) => client === 'browser' && api.kind === 'service' && !grpcWeb)
      .map((exposure) => ({
        path: [`exposure ${exposure.name}`, `→ ${exposure.service.name}.${exposure.api.name}`],
        message: `The exposure ${exposure.name} offers browsers ${exposure.api.name} as raw gRPC.`,
        cost: 'Every call from a browser fails.',
        mend: `Declare \`grpcWeb: true\` on \`exposure('${exposure.name}', …)\`, or expose a \`rest\` interface in front of it.`,
        owners: [exposureOwner(exposure), serviceOwner(exposure.service)],
      })),
})
