import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  getArgumentValues,
  getDirectiveValues,
  getNamedType,
  getNullableType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql'

import { GraphqlRefusal } from './errors.ts'

/** What bounds an operation before anything is asked for it. */
export type GraphqlLimits = {
  /** Characters of a document. */
  readonly charactersMax: number
  /** Tokens of a document, comments not counted. */
  readonly tokensMax: number
  /** Fields within fields. */
  readonly depthMax: number
  readonly aliasesMax: number
  /** Objects that an operation may answer with: the sizes of its pages, multiplied where they are within each other. */
  readonly costMax: number
}

/** 16 Ki characters, 1,000 tokens, 8 levels, 15 aliases, 2,000 objects. */
export const graphqlLimitsDefault: GraphqlLimits = {
  charactersMax: 16_384,
  tokensMax: 1_000,
  depthMax: 8,
  aliasesMax: 15,
  costMax: 2_000,
}

/** How many a list may hold: given by arguments (a number, or a list of keys), or as many as are usual. */
export const listSizeDirective = `
  directive @listSize(
    "The arguments that say how many there may be: a number, or a list of keys."
    by: [String!]
    "How many there usually are, where no argument says it."
    assumed: Int
  ) on FIELD_DEFINITION`

/**
 * Refuses a document by its shape alone, whether or not it fits the schema. Every fragment is looked at once, so that
 * fragments within fragments, which multiply what they spell out, take no longer than they are.
 * @throws GraphqlRefusal `query-too-deep`, `query-too-many-aliases`, `introspection-refused`
 */
export function checkShape(
  document: DocumentNode,
  { depthMax, aliasesMax }: GraphqlLimits,
  introspection: boolean,
): void {
  const fragments = fragmentsOf(document)
  const depths = new Map<string, number>()
  let aliases = 0
  const depthOf = ({ selections }: SelectionSetNode): number => {
    let deepest = 0
    for (const selection of selections) deepest = Math.max(deepest, depthOfOne(selection))
    return deepest
  }
  const depthOfOne = (selection: SelectionSetNode['selections'][number]): number => {
    if (selection.kind === Kind.INLINE_FRAGMENT) return depthOf(selection.selectionSet)
    if (selection.kind === Kind.FRAGMENT_SPREAD) return depthOfFragment(selection.name.value)
    if (selection.alias) aliases += 1
    const { value: name } = selection.name
    const asksForSchema = name === '__schema' || name === '__type'
    if (asksForSchema && !introspection)
      throw new GraphqlRefusal('introspection-refused', 'The schema is not told here.')
    // Tools ask for the schema by a query of their own that is deep.
    if (asksForSchema || !selection.selectionSet) return 1
    return 1 + depthOf(selection.selectionSet)
  }
  const depthOfFragment = (name: string): number => {
    const known = depths.get(name)
    if (known !== undefined) return known
    // A fragment that holds itself is refused by validation; here it only must not go on for ever.
    depths.set(name, 0)
    const fragment = fragments.get(name)
    const depth = fragment ? depthOf(fragment.selectionSet) : 0
    depths.set(name, depth)
    return depth
  }
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION) continue
    const depth = depthOf(definition.selectionSet)
    if (depth > depthMax)
      throw new GraphqlRefusal('query-too-deep', `The document is ${depth} fields deep; ${depthMax} are possible.`)
  }
  if (aliases > aliasesMax)
    throw new GraphqlRefusal('query-too-many-aliases', `There are ${aliases} aliases; ${aliasesMax} are possible.`)
}

/** How many objects a valid operation may answer with, by the sizes of its pages. */
export function costOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  const fragments = fragmentsOf(document)
  const costs = new Map<string, number>()
  const costOfFields = ({ selections }: SelectionSetNode, parent: GraphQLCompositeType): number => {
    let cost = 0
    for (const selection of selections) cost += costOfOne(selection, parent)
    return cost
  }
  const costOfOne = (selection: SelectionSetNode['selections'][number], parent: GraphQLCompositeType): number => {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return costOfFragment(selection.name.value)
    if (selection.kind === Kind.INLINE_FRAGMENT) {
      const type = selection.typeCondition ? schema.getType(selection.typeCondition.name.value) : parent
      return isCompositeType(type) ? costOfFields(selection.selectionSet, type) : 0
    }
    const field = fieldOf(parent, selection.name.value)
    const type = field && getNamedType(field.type)
    if (!field || !selection.selectionSet || !isCompositeType(type)) return 0
    const size = sizeOf(schema, field, getArgumentValues(field, selection, variables))
    return size * (1 + costOfFields(selection.selectionSet, type))
  }
  const costOfFragment = (name: string): number => {
    const known = costs.get(name)
    if (known !== undefined) return known
    const fragment = fragments.get(name)
    const type = fragment && schema.getType(fragment.typeCondition.name.value)
    const cost = fragment && isCompositeType(type) ? costOfFields(fragment.selectionSet, type) : 0
    costs.set(name, cost)
    return cost
  }
  const root = schema.getRootType(operation.operation)
  return root ? costOfFields(operation.selectionSet, root) : 0
}

/** Refuses to start with a list of objects whose size nobody has said: its cost could not be known. */
export function requireListSizes(schema: GraphQLSchema): void {
  const bare = Object.values(schema.getTypeMap())
    .filter((type) => isObjectType(type) || isInterfaceType(type))
    .filter(({ name }) => !name.startsWith('__'))
    .flatMap((type) =>
      Object.values(type.getFields())
        .filter((field) => isListType(getNullableType(field.type)) && isCompositeType(getNamedType(field.type)))
        .filter((field) => !listSizeOf(schema, field))
        .map((field) => `${type.name}.${field.name}`),
    )
  if (bare.length > 0) throw new Error(`Say with @listSize how many there may be of ${bare.join(', ')}`)
}

function sizeOf(schema: GraphQLSchema, field: GraphQLField<unknown, unknown>, given: Record<string, unknown>): number {
  const listSize = listSizeOf(schema, field)
  if (!listSize) return 1
  for (const name of listSize.by ?? []) {
    const value = given[name]
    if (Array.isArray(value)) return value.length
    if (typeof value === 'number') return Math.max(0, value)
  }
  return listSize.assumed ?? 1
}

type ListSize = { readonly by?: readonly string[]; readonly assumed?: number }

function listSizeOf(schema: GraphQLSchema, { astNode }: GraphQLField<unknown, unknown>): ListSize | undefined {
  const directive = schema.getDirective('listSize')
  return directive && astNode ? (getDirectiveValues(directive, astNode) as ListSize | undefined) : undefined
}

function fieldOf(parent: GraphQLCompositeType, name: string): GraphQLField<unknown, unknown> | undefined {
  return isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name] : undefined
}

function fragmentsOf({ definitions }: DocumentNode): ReadonlyMap<string, FragmentDefinitionNode> {
  const found = definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
  return new Map(found.map((fragment) => [fragment.name.value, fragment]))
}
