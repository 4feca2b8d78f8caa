// An NBD client on a bare socket, written from the protocol's document and not from the server's code, so that the two can
// disagree. It says exactly what it is told to, sense or not.

import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface OptionAnswer {
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

export interface ReplyChunk {
  readonly cookie: bigint;
  /** Of a simple reply, or of an error chunk. */
  readonly errno: number;
  readonly type: "simple" | number;
  readonly isLast: boolean;
  readonly data: Buffer;
}

export class NbdClient {
  readonly socket: Socket;
  private parts: Buffer[] = [];
  private bufferedBytes = 0;
  private isOver = false;
  private nextCookie = 1n;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  static async connect(uri: string): Promise<NbdClient> {
    const { hostname, port } = new URL(uri.replace(/^nbd:/, "http:"));
    const socket = connect(Number(port), hostname);
    const client = new NbdClient(socket);
    socket.on("data", (part: Buffer) => {
      client.parts.push(part);
      client.bufferedBytes += part.length;
      socket.emit("more");
    });
    for (const event of ["end", "close", "error"]) {
      socket.on(event, () => {
        client.isOver = true;
        socket.emit("more");
      });
    }
    await once(socket, "connect");
    return client;
  }

  /** Through the greeting, with both flags. */
  static async greet(uri: string): Promise<NbdClient> {
    const client = await NbdClient.connect(uri);
    await client.take(18);
    client.send(u32(3));
    return client;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  async take(count: number): Promise<Buffer> {
    while (this.bufferedBytes < count) {
      if (this.isOver) throw new Error(`the server hung up after ${this.bufferedBytes} of ${count} bytes`);
      await once(this.socket, "more");
    }
    const all = Buffer.concat(this.parts);
    this.parts = [all.subarray(count)];
    this.bufferedBytes -= count;
    return all.subarray(0, count);
  }

  /** Resolves when the server has hung up, with what it said before. */
  async untilHungUp(): Promise<Buffer> {
    while (!this.isOver) await once(this.socket, "more");
    return Buffer.concat(this.parts);
  }

  sendOption(option: number, data: Uint8Array = Buffer.alloc(0)): void {
    this.send(Buffer.from("IHAVEOPT"), u32(option), u32(data.length), data);
  }

  async takeAnswer(): Promise<OptionAnswer> {
    const head = await this.take(20);
    if (head.readBigUInt64BE(0) !== 0x3e889045565a9n) throw new Error("no answer to an option");
    const data = Buffer.from(await this.take(head.readUInt32BE(16)));
    return { option: head.readUInt32BE(8), type: head.readUInt32BE(12), data };
  }

  /** Everything up to an acknowledgement or an error. */
  async ask(option: number, data?: Uint8Array): Promise<OptionAnswer[]> {
    this.sendOption(option, data);
    const answers = [await this.takeAnswer()];
    while (answers.at(-1)?.type !== 1 && (answers.at(-1)?.type ?? 0) < 2 ** 31) answers.push(await this.takeAnswer());
    return answers;
  }

  /** Into transmission, with structured replies and allocation when asked for. */
  async go(name: string, { structured = false } = {}): Promise<{ readonly sizeBytes: number; readonly flags: number }> {
    if (structured) {
      await this.ask(8);
      await this.ask(10, Buffer.concat([named(name), u32(1), named("base:allocation")]));
    }
    const [info] = await this.ask(7, Buffer.concat([named(name), u16(0)]));
    if (info?.type !== 3) throw new Error(`GO was answered by ${info?.type}`);
    return { sizeBytes: Number(info.data.readBigUInt64BE(2)), flags: info.data.readUInt16BE(10) };
  }

  sendRequest(
    command: number,
    offset: number,
    length: number,
    payload: Uint8Array = Buffer.alloc(0),
    flags = 0,
  ): bigint {
    const cookie = this.nextCookie++;
    this.send(u32(0x25609513), u16(flags), u16(command), u64(cookie), u64(BigInt(offset)), u32(length), payload);
    return cookie;
  }

  async takeSimple(readLength = 0): Promise<ReplyChunk> {
    const head = await this.take(16);
    if (head.readUInt32BE(0) !== 0x67446698) throw new Error("no simple reply");
    const [errno, cookie] = [head.readUInt32BE(4), head.readBigUInt64BE(8)];
    const data = Buffer.from(errno === 0 ? await this.take(readLength) : []);
    return { cookie, errno, type: "simple", isLast: true, data };
  }

  async takeChunk(): Promise<ReplyChunk> {
    const head = await this.take(20);
    if (head.readUInt32BE(0) !== 0x668e33ef) throw new Error("no structured reply");
    const type = head.readUInt16BE(6);
    const data = Buffer.from(await this.take(head.readUInt32BE(16)));
    const errno = type >= 0x8000 ? data.readUInt32BE(0) : 0;
    return { cookie: head.readBigUInt64BE(8), errno, type, isLast: head.readUInt16BE(4) === 1, data };
  }

  /** Command 0 with simple replies. */
  async read(offset: number, length: number): Promise<Buffer> {
    this.sendRequest(0, offset, length);
    const { errno, data } = await this.takeSimple(length);
    if (errno !== 0) throw new Error(`errno ${errno}`);
    return data;
  }

  /** Command 0 with structured replies: holes are filled in. */
  async readStructured(offset: number, length: number, flags = 0): Promise<{ bytes: Buffer; chunks: ReplyChunk[] }> {
    this.sendRequest(0, offset, length, undefined, flags);
    const bytes = Buffer.alloc(length, 0xee);
    const chunks: ReplyChunk[] = [];
    do chunks.push(await this.takeChunk());
    while (!chunks.at(-1)?.isLast);
    for (const { type, data } of chunks) {
      const at = type === 1 || type === 2 ? Number(data.readBigUInt64BE(0)) - offset : 0;
      if (type === 1) data.copy(bytes, at, 8);
      if (type === 2) bytes.fill(0, at, at + data.readUInt32BE(8));
    }
    return { bytes, chunks };
  }

  async write(offset: number, bytes: Uint8Array): Promise<number> {
    this.sendRequest(1, offset, bytes.length, bytes);
    return (await this.takeSimple()).errno;
  }

  close(): void {
    this.socket.destroy();
  }
}

export function named(name: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(name)), Buffer.from(name)]);
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export function u32(value: number): Buffer {
  return Buffer.from([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
}

function u64(value: bigint): Buffer {
  return Buffer.concat([u32(Number(value >> 32n)), u32(Number(value & 0xffffffffn))]);
}
