import type { DescFile, DescMessage, DescService, MessageInitShape } from '@bufbuild/protobuf'
import { toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { status } from '@grpc/grpc-js'
import { Health } from '#proto/grpc/health/v1/health_pb.ts'
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from '#proto/grpc/reflection/v1/reflection_pb.ts'
import { ServerReflection as ServerReflectionAlpha } from '#proto/grpc/reflection/v1alpha/reflection_pb.ts'
import { type Implementation, implement } from './implementation.ts'

/** gRPC reflection in both versions that clients speak: the services given, health, and reflection itself. */
export function reflectionServices(services: readonly DescService[]): readonly Implementation[] {
  const index = indexOf([...services, Health, ServerReflection, ServerReflectionAlpha])
  async function* answerAll(requests: AsyncIterable<ServerReflectionRequest>) {
    for await (const request of requests) yield { originalRequest: request, messageResponse: answer(request, index) }
  }
  // The versions differ in nothing but the name of their package, so the older one's messages are taken as the newer one's.
  const alpha = { ...ServerReflection, typeName: ServerReflectionAlpha.typeName } as typeof ServerReflection
  return [
    implement(ServerReflection, { serverReflectionInfo: answerAll }),
    implement(alpha, { serverReflectionInfo: answerAll }),
  ]
}

type Index = {
  readonly services: readonly string[]
  readonly filesByName: ReadonlyMap<string, DescFile>
  readonly filesBySymbol: ReadonlyMap<string, DescFile>
}

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>

function answer({ messageRequest }: ServerReflectionRequest, index: Index): Answer {
  switch (messageRequest.case) {
    case 'listServices': {
      const service = index.services.map((name) => ({ name }))
      return { case: 'listServicesResponse', value: { service } }
    }
    case 'fileByFilename':
      return fileAnswer(index.filesByName.get(messageRequest.value), `file ${messageRequest.value}`)
    case 'fileContainingSymbol':
      return fileAnswer(index.filesBySymbol.get(messageRequest.value), `symbol ${messageRequest.value}`)
    case 'allExtensionNumbersOfType':
      return { case: 'allExtensionNumbersResponse', value: { baseTypeName: messageRequest.value, extensionNumber: [] } }
    case 'fileContainingExtension':
      return failure(status.NOT_FOUND, `There are no extensions of ${messageRequest.value.containingType}.`)
    case undefined:
      return failure(status.INVALID_ARGUMENT, 'The request asks nothing: set one of its fields.')
  }
}

function fileAnswer(file: DescFile | undefined, what: string): Answer {
  if (!file) return failure(status.NOT_FOUND, `This server has no ${what}.`)
  const fileDescriptorProto = withImports(file).map((each) => toBinary(FileDescriptorProtoSchema, each.proto))
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } }
}

function failure(errorCode: number, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } }
}

function indexOf(services: readonly DescService[]): Index {
  const files = [...new Set(services.flatMap((service) => withImports(service.file)))]
  return {
    services: services.map((service) => service.typeName),
    filesByName: new Map(files.map((file) => [`${file.name}.proto`, file])),
    filesBySymbol: new Map(files.flatMap((file) => symbolsOf(file).map((symbol) => [symbol, file] as const))),
  }
}

function symbolsOf(file: DescFile): readonly string[] {
  const services = file.services.flatMap((service) => [
    service.typeName,
    ...service.methods.map((method) => `${service.typeName}.${method.name}`),
  ])
  return [...services, ...file.enums.map((each) => each.typeName), ...file.messages.flatMap(symbolsIn)]
}

function symbolsIn(message: DescMessage): readonly string[] {
  const enums = message.nestedEnums.map((each) => each.typeName)
  return [message.typeName, ...enums, ...message.nestedMessages.flatMap(symbolsIn)]
}

/** A file and everything that it imports, itself first. */
function withImports(file: DescFile): readonly DescFile[] {
  return [...new Set([file, ...file.dependencies.flatMap(withImports)])]
}
