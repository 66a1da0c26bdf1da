import { checkSystem } from '#checks/check.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { queryAs } from '../postgres.ts'
import { must, type Row } from '../row.ts'

// What tempts: reports would read the tables of orders, in 1 ms and without asking anybody.
const orders = service('orders', { owns: [postgres()] })
const reports = service('reports', { owns: [postgres({ name: 'orders' })] })
const shared = system('shared', { services: [orders, reports] })

/** The anti-pattern: a shared database, refused by the declaration's check and by Postgres itself. */
export const sharedDatabaseRow: Row = {
  number: 18,
  name: 'shared-database',
  pattern: 'Shared database: refused, twice',
  services: [],
  async walk({ shop, show }) {
    const finding = await show(
      "check: reports declares owns: [postgres({ name: 'orders' })]",
      async () => checkSystem(shared).findings.find(({ code }) => code === 'PLY501'),
      (found) => (found ? `${found.code} ${found.message} ${found.mend}` : 'nothing is found'),
    )
    must(finding, 'The check lets two services own one database')

    const own = () => queryAs<{ orders: string }>(shop, 'orders', 'orders', 'select count(*) as orders from order_list')
    await show('psql orders, as the role orders', own, ([row]) => `${row?.orders} orders`)
    const refusal = await show(
      'psql orders, as the role payments with its own password',
      () =>
        queryAs(shop, 'payments', 'orders', 'select 1').then(
          () => null,
          (error: Error & { code?: string }) => error,
        ),
      (error) => (error ? `${error.code} ${error.message}` : 'let in'),
    )
    // 28000: no line for the two in pg_hba.conf. 42501: no CONNECT.
    must(refusal, 'Postgres lets the role payments into the database orders')
    must(['28000', '42501'].includes(refusal.code ?? ''), `Not refused, but failed: ${refusal.message}`)
  },
}
