// The first half of a connection: which export the client wants, and how replies shall look. A client that breaks the
// protocol is hung up on; one that asks for what there is not gets an answer that says so.

import type { BlockDevice } from "./block-device.ts";
import {
  ALLOCATION_CONTEXT,
  ALLOCATION_CONTEXT_ID,
  ANSWER,
  decodeInfoRequests,
  decodeNamed,
  decodeQueries,
  EXPORT_FLAG,
  encodeAnswer,
  HANDSHAKE_FIXED_NEWSTYLE,
  HANDSHAKE_NO_ZEROES,
  INFO,
  MAX_NAME_BYTES,
  MAX_REQUEST_BYTES,
  OPTION,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  SERVER_GREETING,
  u16,
  u32,
  u64,
} from "./protocol.ts";
import type { SocketBytes } from "./socket-bytes.ts";

const MAX_OPTION_BYTES = 2 * MAX_NAME_BYTES + 64;
const MAX_OPTIONS = 1_000;

export interface Export {
  readonly name: string;
  readonly description: string;
  readonly device: BlockDevice;
}

export interface Session {
  readonly device: BlockDevice;
  readonly isStructured: boolean;
  readonly tellsAllocation: boolean;
}

export function flagsOf(device: BlockDevice): number {
  const { hasFlags, readOnly, multiConnection, sendDontFragment, sendFlush, sendFua, sendWriteZeroes } = EXPORT_FLAG;
  const always = hasFlags | multiConnection | sendDontFragment;
  return always | (device.write ? sendFlush | sendFua | sendWriteZeroes : readOnly);
}

/** Resolves to undefined when the client leaves, or must. */
export async function negotiate(bytes: SocketBytes, exports: readonly Export[]): Promise<Session | undefined> {
  await bytes.send(SERVER_GREETING, u16(HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES));
  const clientFlags = (await bytes.read(4))?.readUInt32BE(0);
  if (clientFlags === undefined || (clientFlags & ~(HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES)) !== 0) {
    return undefined;
  }
  const negotiation = new Negotiation(bytes, exports, (clientFlags & HANDSHAKE_NO_ZEROES) !== 0);
  for (let count = 0; count < MAX_OPTIONS; count++) {
    const head = await bytes.read(OPTION_HEADER_BYTES);
    if (!head?.subarray(0, 8).equals(OPTION_MAGIC)) return undefined;
    const [option, length] = [head.readUInt32BE(8), head.readUInt32BE(12)];
    const data = length > MAX_OPTION_BYTES ? undefined : await bytes.read(length);
    if (data === undefined) return undefined;
    const outcome = await negotiation.answer(option, data);
    if (outcome === "over") return undefined;
    if (outcome !== "next") return outcome;
  }
  return undefined;
}

class Negotiation {
  private readonly bytes: SocketBytes;
  private readonly exports: readonly Export[];
  private readonly skipsZeroes: boolean;
  private isStructured = false;
  /** The export whose allocation the client wants to be told. */
  private allocationOf: string | undefined;

  constructor(bytes: SocketBytes, exports: readonly Export[], skipsZeroes: boolean) {
    this.bytes = bytes;
    this.exports = exports;
    this.skipsZeroes = skipsZeroes;
  }

  async answer(option: number, data: Buffer): Promise<Session | "next" | "over"> {
    switch (option) {
      case OPTION.exportName:
        return this.exportName(data.toString("utf8"));
      case OPTION.abort:
        await this.reply(option, ANSWER.ack);
        return "over";
      case OPTION.list:
        return data.length > 0 ? this.reply(option, ANSWER.invalid) : this.list();
      case OPTION.info:
      case OPTION.go:
        return this.infoOrGo(option, data);
      case OPTION.structuredReply:
        if (data.length > 0) return this.reply(option, ANSWER.invalid);
        this.isStructured = true;
        return this.reply(option, ANSWER.ack);
      case OPTION.listMetaContext:
      case OPTION.setMetaContext:
        return this.metaContext(option, data);
      default:
        return this.reply(option, ANSWER.unsupported);
    }
  }

  /** The empty name is the first export. */
  private find(name: string): Export | undefined {
    return name === "" ? this.exports[0] : this.exports.find((candidate) => candidate.name === name);
  }

  /** The old way in, without a way to say no. */
  private async exportName(name: string): Promise<Session | "over"> {
    const found = this.find(name);
    if (!found) return "over";
    const padding = Buffer.alloc(this.skipsZeroes ? 0 : 124);
    await this.bytes.send(u64(found.device.sizeBytes), u16(flagsOf(found.device)), padding);
    return this.sessionOf(found);
  }

  private async list(): Promise<"next"> {
    for (const { name } of this.exports) {
      const text = Buffer.from(name, "utf8");
      await this.reply(OPTION.list, ANSWER.server, u32(text.length), text);
    }
    return this.reply(OPTION.list, ANSWER.ack);
  }

  private async infoOrGo(option: number, data: Buffer): Promise<Session | "next"> {
    const request = decodeNamed(data);
    const wanted = request && decodeInfoRequests(request.rest);
    if (!request || !wanted) return this.reply(option, ANSWER.invalid);
    const found = this.find(request.name);
    if (!found) return this.reply(option, ANSWER.unknown, Buffer.from("There is no such disk; list the exports."));
    const { device, name, description } = found;
    await this.reply(option, ANSWER.info, u16(INFO.export), u64(device.sizeBytes), u16(flagsOf(device)));
    if (wanted.includes(INFO.name)) await this.reply(option, ANSWER.info, u16(INFO.name), Buffer.from(name));
    if (wanted.includes(INFO.description)) {
      await this.reply(option, ANSWER.info, u16(INFO.description), Buffer.from(description));
    }
    const sizes = [1, 4_096, MAX_REQUEST_BYTES].map(u32);
    await this.reply(option, ANSWER.info, u16(INFO.blockSize), ...sizes);
    await this.reply(option, ANSWER.ack);
    return option === OPTION.go ? this.sessionOf(found) : "next";
  }

  private async metaContext(option: number, data: Buffer): Promise<"next"> {
    const request = decodeNamed(data);
    const queries = request && decodeQueries(request.rest);
    if (!request || !queries || !this.isStructured) return this.reply(option, ANSWER.invalid);
    const found = this.find(request.name);
    if (!found) return this.reply(option, ANSWER.unknown);
    const isList = option === OPTION.listMetaContext;
    const isWanted =
      queries.includes(ALLOCATION_CONTEXT) || (isList && (queries.length === 0 || queries.includes("base:")));
    if (!isList) this.allocationOf = isWanted ? found.name : undefined;
    if (isWanted) {
      const id = u32(isList ? 0 : ALLOCATION_CONTEXT_ID);
      await this.reply(option, ANSWER.metaContext, id, Buffer.from(ALLOCATION_CONTEXT));
    }
    return this.reply(option, ANSWER.ack);
  }

  private sessionOf({ device, name }: Export): Session {
    return { device, isStructured: this.isStructured, tellsAllocation: this.allocationOf === name };
  }

  private async reply(option: number, type: number, ...parts: readonly Uint8Array[]): Promise<"next"> {
    await this.bytes.send(encodeAnswer(option, type, Buffer.concat(parts)));
    return "next";
  }
}
