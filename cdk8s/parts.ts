import type { ServicePart, SystemPart } from './component.ts'
import { kafka } from './data/kafka.ts'
import { kafkaAccess } from './data/kafka-access.ts'
import { postgres } from './data/postgres.ts'
import { postgresAccessPart } from './data/postgres-access.ts'
import { rabbitmq } from './data/rabbitmq.ts'
import { rabbitmqTopology } from './data/rabbitmq-topology.ts'
import { servicePolicy, systemPolicy } from './mesh-parts.ts'
import { dashboards } from './observability/dashboards.ts'
import { monitors } from './observability/monitors.ts'
import { alertRules } from './observability/rules.ts'
import { systemRules } from './observability/sagas.ts'
import { account } from './policies/accounts.ts'
import { namespaces } from './policies/namespaces.ts'
import { serviceNetwork, systemNetwork } from './policies/network.ts'
import { outside } from './policies/outside.ts'
import { edge } from './workloads/edge.ts'
import { routes } from './workloads/routes.ts'
import { standIns } from './workloads/stand-ins.ts'
import { workload } from './workloads/workload.ts'

/** What is rendered for each service. */
export const serviceParts: readonly ServicePart[] = [
  account,
  servicePolicy,
  serviceNetwork,
  kafkaAccess,
  postgresAccessPart,
  rabbitmqTopology,
  workload,
  routes,
  alertRules,
]

/** What is rendered once a system. A name is a file's; two parts of one wave have different names, none that of a service. */
export const systemParts: readonly SystemPart[] = [
  namespaces,
  systemPolicy,
  systemNetwork,
  outside,
  kafka,
  postgres,
  rabbitmq,
  standIns,
  edge,
  monitors,
  systemRules,
  dashboards,
]
