// The second half of a connection: requests and their replies, several at once and in any order. Each request pays for its
// bytes from the connection's budget and the one all connections share, before anything is held in memory for it.

import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import type { Extent } from "./block-device.ts";
import type { Budget } from "./budget.ts";
import type { Session } from "./negotiation.ts";
import {
  ALLOCATION,
  ALLOCATION_CONTEXT_ID,
  CHUNK,
  COMMAND,
  COMMAND_FLAG,
  decodeRequest,
  ERRNO,
  encodeChunkHead,
  encodeSimpleReply,
  MAX_REQUEST_BYTES,
  REQUEST_BYTES,
  type Request,
  u16,
  u32,
  u64,
} from "./protocol.ts";
import type { SocketBytes } from "./socket-bytes.ts";

const MIN_COST_BYTES = 64 * 1024;
/** Somebody who announces bytes and does not send them holds memory that the others wait for. */
const PAYLOAD_TIMEOUT_MS = 60_000;
const MAX_STATUS_EXTENTS = 4_096;
const STATUS_FLAGS = { data: 0, zero: ALLOCATION.zero, hole: ALLOCATION.hole | ALLOCATION.zero };

const ALLOWED_FLAGS: Readonly<Record<number, number>> = {
  [COMMAND.read]: COMMAND_FLAG.dontFragment | COMMAND_FLAG.fua,
  [COMMAND.write]: COMMAND_FLAG.fua,
  [COMMAND.flush]: COMMAND_FLAG.fua,
  [COMMAND.writeZeroes]: COMMAND_FLAG.fua | COMMAND_FLAG.noHole,
  [COMMAND.blockStatus]: COMMAND_FLAG.onlyOne | COMMAND_FLAG.fua,
};

class Refusal extends Error {
  readonly errno: number;

  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}

/** Serves until the client leaves or stops making sense. */
export async function transmit(
  bytes: SocketBytes,
  session: Session,
  budgets: readonly Budget[],
  onProblem: (message: string) => void,
): Promise<void> {
  const running = new Set<Promise<void>>();
  for (;;) {
    const head = await bytes.read(REQUEST_BYTES);
    const request = head && decodeRequest(head);
    if (!request || request.command === COMMAND.disconnect) break;
    const { command, length } = request;
    // What is too much to hold cannot be skipped politely either.
    if (command === COMMAND.write && length > MAX_REQUEST_BYTES) break;
    const carries = command === COMMAND.read || command === COMMAND.write;
    const cost = Math.max(MIN_COST_BYTES, carries && length <= MAX_REQUEST_BYTES ? length : 0);
    for (const budget of budgets) await budget.take(cost);
    const payload = command === COMMAND.write ? await bytes.read(length, PAYLOAD_TIMEOUT_MS) : Buffer.alloc(0);
    const giveBack = () => {
      for (const budget of budgets) budget.giveBack(cost);
    };
    if (payload === undefined) {
      giveBack();
      break;
    }
    const work = new Reply(bytes, session, request, onProblem).run(payload).finally(() => {
      giveBack();
      running.delete(work);
    });
    running.add(work);
  }
  await Promise.all(running);
}

class Reply {
  private readonly bytes: SocketBytes;
  private readonly session: Session;
  private readonly request: Request;
  private readonly onProblem: (message: string) => void;
  /** Where in the disk a failure lies, as far as it is known. */
  private reachedOffset: number;

  constructor(bytes: SocketBytes, session: Session, request: Request, onProblem: (message: string) => void) {
    this.bytes = bytes;
    this.session = session;
    this.request = request;
    this.onProblem = onProblem;
    this.reachedOffset = request.offset;
  }

  async run(payload: Buffer): Promise<void> {
    try {
      this.refuseImpossible();
      await this.perform(payload);
    } catch (cause) {
      const errno = errnoOf(cause);
      if (!(cause instanceof Refusal)) this.onProblem(messageOf(cause));
      await this.fail(errno, messageOf(cause));
    }
  }

  private async perform(payload: Buffer): Promise<void> {
    const { device, isStructured } = this.session;
    const { command, offset, length, flags } = this.request;
    switch (command) {
      case COMMAND.read:
        if (!isStructured) return this.readSimply();
        return flags & COMMAND_FLAG.dontFragment ? this.readWhole() : this.readByExtents();
      case COMMAND.write:
        await device.write?.(offset, payload);
        return this.done();
      case COMMAND.writeZeroes:
        await device.writeZeros?.({ offset, length });
        return this.done();
      case COMMAND.flush:
        return this.done();
      case COMMAND.blockStatus:
        return this.blockStatus();
    }
  }

  private refuseImpossible(): void {
    const { device, isStructured, tellsAllocation } = this.session;
    const { command, offset, length, flags } = this.request;
    const allowed = ALLOWED_FLAGS[command];
    if (allowed === undefined) throw new Refusal(ERRNO.EINVAL, `Command ${command} is unknown here`);
    if (flags & ~allowed || (flags & COMMAND_FLAG.dontFragment && !isStructured)) {
      throw new Refusal(ERRNO.EINVAL, `Flags ${flags} make no sense with command ${command}`);
    }
    const isWrite = command === COMMAND.write || command === COMMAND.writeZeroes;
    if (isWrite && !device.write) throw new Refusal(ERRNO.EPERM, "The disk is read-only");
    if (command === COMMAND.flush) return;
    if (length === 0) throw new Refusal(ERRNO.EINVAL, "A request for nothing");
    if (command === COMMAND.read && length > MAX_REQUEST_BYTES) throw new Refusal(ERRNO.EINVAL, "Too much at once");
    if (offset + length > device.sizeBytes) {
      throw new Refusal(isWrite ? ERRNO.ENOSPC : ERRNO.EINVAL, "The disk ends before");
    }
    if (command === COMMAND.blockStatus && !tellsAllocation) {
      throw new Refusal(ERRNO.EINVAL, "No context was negotiated");
    }
  }

  private async readSimply(): Promise<void> {
    const data = await this.session.device.read(this.request);
    await this.bytes.send(encodeSimpleReply(this.request.cookie, 0), data);
  }

  private async readWhole(): Promise<void> {
    await this.sendData(this.request.offset, await this.session.device.read(this.request), true);
  }

  /** Zeros are told, not sent. */
  private async readByExtents(): Promise<void> {
    const { offset, length, cookie } = this.request;
    const end = offset + length;
    while (this.reachedOffset < end) {
      const range = { offset: this.reachedOffset, length: end - this.reachedOffset };
      for await (const extent of this.session.device.extents(range)) {
        const isLast = extent.offset + extent.length === end;
        if (extent.kind === "data") await this.sendData(extent.offset, await this.session.device.read(extent), isLast);
        else {
          const head = encodeChunkHead(cookie, CHUNK.hole, 12, isLast);
          await this.bytes.send(head, u64(extent.offset), u32(extent.length));
        }
        this.reachedOffset = extent.offset + extent.length;
      }
    }
  }

  private sendData(offset: number, data: Uint8Array, isLast: boolean): Promise<void> {
    const head = encodeChunkHead(this.request.cookie, CHUNK.data, 8 + data.length, isLast);
    return this.bytes.send(head, u64(offset), data);
  }

  private async blockStatus(): Promise<void> {
    const { cookie, flags } = this.request;
    const limit = flags & COMMAND_FLAG.onlyOne ? 1 : MAX_STATUS_EXTENTS;
    const told: Extent[] = [];
    for await (const extent of this.session.device.extents(this.request)) {
      told.push(extent);
      if (told.length === limit) break;
    }
    const body = [
      u32(ALLOCATION_CONTEXT_ID),
      ...told.flatMap(({ length, kind }) => [u32(length), u32(STATUS_FLAGS[kind])]),
    ];
    await this.bytes.send(encodeChunkHead(cookie, CHUNK.blockStatus, 4 + 8 * told.length, true), ...body);
  }

  private async done(): Promise<void> {
    const { cookie } = this.request;
    await this.bytes.send(
      this.session.isStructured ? encodeChunkHead(cookie, CHUNK.none, 0, true) : encodeSimpleReply(cookie, 0),
    );
  }

  private async fail(errno: number, message: string): Promise<void> {
    const { cookie } = this.request;
    if (!this.session.isStructured) return this.bytes.send(encodeSimpleReply(cookie, errno));
    const text = Buffer.from(message).subarray(0, 1_000);
    const head = encodeChunkHead(cookie, CHUNK.errorAt, 14 + text.length, true);
    await this.bytes.send(head, u32(errno), u16(text.length), text, u64(this.reachedOffset));
  }
}

function errnoOf(cause: unknown): number {
  if (cause instanceof Refusal) return cause.errno;
  if (cause instanceof HoldfastFailure && cause.kind === "cancelled") return ERRNO.ESHUTDOWN;
  const isFull = cause instanceof Error && "code" in cause && cause.code === "ENOSPC";
  return isFull ? ERRNO.ENOSPC : ERRNO.EIO;
}
