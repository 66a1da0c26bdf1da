import { methodFacts } from '#graph/api.ts'
import { byName } from './edges.ts'
import { exposureOwner, rule } from './rule.ts'
import { list } from './text.ts'

/** A browser is not offered what it cannot send. */
export const browserStream = rule({
  code: 'PLY407',
  title: 'Browsers send no streams',
  why: 'gRPC-Web answers with a stream, but a request is one message: a browser sends it whole. A method that takes a stream works with every tool but the one it was made for.',
  reference: 'gRPC, "gRPC-Web protocol" (PROTOCOL-WEB.md)',
  check: (system) =>
    byName(system.exposures)
      .filter(({ grpcWeb }) => grpcWeb)
      .flatMap((exposure) => {
        const { name, api, methods, service } = exposure
        const streams = methods.filter((method) => methodFacts(api, method).streamsIn)
        if (streams.length === 0) return []
        return [
          {
            path: [`exposure ${name}`, `→ ${service.name}.${api.name}`],
            message: `The exposure ${name} offers ${list(streams)} by gRPC-Web, which cannot carry a stream of requests.`,
            cost: 'Every call of it from a browser fails.',
            mend: `Name the \`methods\` that are open on \`exposure('${name}', …)\`, without ${list(streams)}.`,
            owners: [exposureOwner(exposure)],
          },
        ]
      }),
})
