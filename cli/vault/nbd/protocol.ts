// The numbers and byte layouts of the NBD protocol, as far as a server of disks needs them: fixed newstyle negotiation,
// simple and structured replies, base:allocation. Everything is big-endian. No I/O here.

export const SERVER_GREETING = Buffer.from("NBDMAGICIHAVEOPT", "ascii");
export const OPTION_MAGIC = Buffer.from("IHAVEOPT", "ascii");
export const HANDSHAKE_FIXED_NEWSTYLE = 1;
export const HANDSHAKE_NO_ZEROES = 2;

export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const ANSWER = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  invalid: 0x8000_0003,
  unknown: 0x8000_0006,
} as const;

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const EXPORT_FLAG = {
  hasFlags: 1,
  readOnly: 2,
  sendFlush: 4,
  sendFua: 8,
  sendWriteZeroes: 64,
  sendDontFragment: 128,
  multiConnection: 256,
} as const;

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const COMMAND_FLAG = { fua: 1, noHole: 2, dontFragment: 4, onlyOne: 8 } as const;

export const ERRNO = { EPERM: 1, EIO: 5, EINVAL: 22, ENOSPC: 28, ESHUTDOWN: 108 } as const;

export const CHUNK = { none: 0, data: 1, hole: 2, blockStatus: 5, errorAt: 0x8002 } as const;

export const ALLOCATION_CONTEXT = "base:allocation";
export const ALLOCATION_CONTEXT_ID = 1;
export const ALLOCATION = { hole: 1, zero: 2 } as const;

export const MAX_NAME_BYTES = 4_096;
/** What clients may assume without asking; also what one request may hold in memory. */
export const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

const ANSWER_MAGIC = 0x0003_e889_0455_65a9n;
const REQUEST_MAGIC = 0x2560_9513;
const SIMPLE_REPLY_MAGIC = 0x6744_6698;
const STRUCTURED_REPLY_MAGIC = 0x668e_33ef;
export const REQUEST_BYTES = 28;
export const OPTION_HEADER_BYTES = 16;

export interface Request {
  readonly flags: number;
  readonly command: number;
  readonly cookie: bigint;
  readonly offset: number;
  readonly length: number;
}

/** Undefined when this is no request at all, and nothing that follows can be understood. */
export function decodeRequest(bytes: Buffer): Request | undefined {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) return undefined;
  return {
    flags: bytes.readUInt16BE(4),
    command: bytes.readUInt16BE(6),
    cookie: bytes.readBigUInt64BE(8),
    // Beyond 2^53 it is beyond the end of any disk, exactly or not.
    offset: Number(bytes.readBigUInt64BE(16)),
    length: bytes.readUInt32BE(24),
  };
}

export function encodeRequest({ flags, command, cookie, offset, length }: Request): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(cookie, 8);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

export function encodeAnswer(option: number, type: number, data: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(ANSWER_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

export function encodeSimpleReply(cookie: bigint, errno: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  head.writeUInt32BE(errno, 4);
  head.writeBigUInt64BE(cookie, 8);
  return head;
}

/** The head of one chunk of a structured reply; `length` bytes follow it. */
export function encodeChunkHead(cookie: bigint, type: number, length: number, isLast: boolean): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32BE(STRUCTURED_REPLY_MAGIC, 0);
  head.writeUInt16BE(isLast ? 1 : 0, 4);
  head.writeUInt16BE(type, 6);
  head.writeBigUInt64BE(cookie, 8);
  head.writeUInt32BE(length, 16);
  return head;
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export interface ExportRequest {
  readonly name: string;
  /** What stands behind the name. */
  readonly rest: Buffer;
}

/** A length and a name, as several options begin; undefined when the lengths do not fit. */
export function decodeNamed(data: Buffer): ExportRequest | undefined {
  if (data.length < 4) return undefined;
  const length = data.readUInt32BE(0);
  if (length > MAX_NAME_BYTES || 4 + length > data.length) return undefined;
  return { name: data.toString("utf8", 4, 4 + length), rest: data.subarray(4 + length) };
}

/** What a client of INFO or GO wants to know besides the size. */
export function decodeInfoRequests(rest: Buffer): number[] | undefined {
  if (rest.length < 2 || rest.length !== 2 + 2 * rest.readUInt16BE(0)) return undefined;
  return Array.from({ length: rest.readUInt16BE(0) }, (_, index) => rest.readUInt16BE(2 + 2 * index));
}

export function decodeQueries(rest: Buffer): string[] | undefined {
  if (rest.length < 4) return undefined;
  const queries: string[] = [];
  let left = rest.subarray(4);
  for (let count = rest.readUInt32BE(0); count > 0; count--) {
    const query = decodeNamed(left);
    if (!query) return undefined;
    queries.push(query.name);
    left = query.rest;
  }
  return left.length === 0 ? queries : undefined;
}
