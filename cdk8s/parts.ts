import type { Mesh } from '#providers/cluster.ts'
import type { ServicePart, SystemPart } from './component.ts'

/** What is rendered for each service, whatever the order. */
export function servicePartsOf(_mesh: Mesh): readonly ServicePart[] {
  return []
}

/** What is rendered once a system. A name is a file's; two parts of one wave have different names, none that of a service. */
export function systemPartsOf(_mesh: Mesh): readonly SystemPart[] {
  return []
}
