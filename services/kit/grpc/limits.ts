/** The largest message of an answer, and the largest that a client of ours sends. */
export const messageBytesMax = 4 * 1024 * 1024

/**
 * The largest request. Two bytes are enough for an empty part of a list, and it takes forty times as many once it is read:
 * 4 MiB of them are more than the memory that a service has.
 */
export const requestBytesMax = 256 * 1024
