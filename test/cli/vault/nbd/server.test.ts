import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { Export } from "../../../../cli/vault/nbd/negotiation.ts";
import { OverlayDevice } from "../../../../cli/vault/nbd/overlay-device.ts";
import { PointDevice } from "../../../../cli/vault/nbd/point-device.ts";
import { type NbdServer, type ServerOptions, serveNbd } from "../../../../cli/vault/nbd/server.ts";
import { DiskReader } from "../../../../src/vault/disk-reader.ts";
import type { ManifestDisk } from "../../../../src/vault/format/manifest.ts";
import { MemoryDisk } from "../../../support/memory-disk.ts";
import { NbdClient, named, u16, u32 } from "../../../support/nbd-client.ts";
import { CHUNK, TestVault } from "../../../support/vault-fixture.ts";

const [OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_INFO, OPT_GO, OPT_STRUCTURED, OPT_SET_META] = [1, 2, 3, 6, 7, 8, 10];
const [REP_ACK, REP_SERVER, REP_INFO, REP_META] = [1, 2, 3, 4];
const [ERR_UNSUP, ERR_INVALID, ERR_UNKNOWN] = [2 ** 31 + 1, 2 ** 31 + 3, 2 ** 31 + 6];
const [WRITE, DISCONNECT, TRIM, WRITE_ZEROES, BLOCK_STATUS] = [1, 2, 4, 6, 7];
const [EPERM, EIO, EINVAL, ENOSPC] = [1, 5, 22, 28];

describe("The NBD server", () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function serve(exports: readonly Export[], options: ServerOptions = {}): Promise<NbdServer> {
    const server = await serveNbd(exports, { host: "127.0.0.1", port: 0 }, options);
    closing.push(() => server.close());
    return server;
  }

  /** 300 chunks: data in 0-3, zeros over old data in 5, data in 140 and in the short last one. */
  async function pointOnDisk() {
    const vault = await TestVault.create();
    const disk = new MemoryDisk(299 * CHUNK + 1000);
    disk.fill(0, 4 * CHUNK, 1);
    disk.fill(5 * CHUNK, CHUNK, 2);
    await vault.backUp(disk.snapshot());
    disk.write(5 * CHUNK, Buffer.alloc(CHUNK));
    disk.fill(140 * CHUNK + 100, 5_000, 3);
    disk.fill(299 * CHUNK, 1000, 4);
    const manifest = await vault.backUp(disk.snapshot());
    const reader = new DiskReader(vault.vault, manifest, manifest.disks[0] as ManifestDisk);
    return { vault, disk, manifest, device: new PointDevice(reader) };
  }

  async function servePoint(options: ServerOptions = {}) {
    const point = await pointOnDisk();
    const server = await serve([{ name: "os", description: "the disk", device: point.device }], options);
    return { ...point, uri: server.uri };
  }

  async function serveOverlay() {
    const point = await pointOnDisk();
    const folder = await mkdtemp(join(tmpdir(), "holdfast-overlay-"));
    const overlay = await OverlayDevice.create(point.device, folder);
    closing.push(() => rm(folder, { recursive: true }));
    closing.push(() => overlay.close());
    const server = await serve([{ name: "os", description: "", device: overlay }]);
    return { ...point, overlay, folder, uri: server.uri };
  }

  async function open(uri: string, options?: { structured: boolean }) {
    const client = await NbdClient.greet(uri);
    closing.push(async () => client.close());
    const info = await client.go("os", options);
    return { client, info };
  }

  it("greets as fixed newstyle, lists its exports, and acknowledges a goodbye", async () => {
    const { uri } = await servePoint();
    const client = await NbdClient.connect(uri);
    expect((await client.take(18)).toString("latin1")).toBe("NBDMAGICIHAVEOPT\0\u0003");
    client.send(u32(3));
    const answers = await client.ask(OPT_LIST);
    expect(answers.map(({ type }) => type)).toEqual([REP_SERVER, REP_ACK]);
    expect(answers[0]?.data).toEqual(named("os"));
    expect((await client.ask(OPT_ABORT)).map(({ type }) => type)).toEqual([REP_ACK]);
    expect(await client.untilHungUp()).toHaveLength(0);
  });

  it("lets old clients in by name alone, with and without the zeros they expect", async () => {
    const { uri, disk } = await servePoint();
    for (const [flags, padding] of [
      [1, 124],
      [3, 0],
    ] as const) {
      const client = await NbdClient.connect(uri);
      await client.take(18);
      client.send(u32(flags));
      client.sendOption(OPT_EXPORT_NAME, Buffer.from("os"));
      const answer = await client.take(10 + padding);
      expect(Number(answer.readBigUInt64BE(0))).toBe(disk.bytes.length);
      expect(await client.read(10, 20)).toEqual(disk.bytes.subarray(10, 30));
      client.close();
    }
  });

  it("tells size, read-only, many connections, and block sizes; the empty name is the first disk", async () => {
    const { uri, disk } = await servePoint();
    const client = await NbdClient.greet(uri);
    const request = Buffer.concat([named(""), u16(2), u16(1), u16(2)]);
    const answers = await client.ask(OPT_INFO, request);
    expect(answers.map(({ type, data }) => (type === REP_INFO ? data.readUInt16BE(0) : "ack"))).toEqual([
      0,
      1,
      2,
      3,
      "ack",
    ]);
    expect(answers[1]?.data.toString("utf8", 2)).toBe("os");
    expect(answers[2]?.data.toString("utf8", 2)).toBe("the disk");
    const { sizeBytes, flags } = await client.go("");
    expect(sizeBytes).toBe(disk.bytes.length);
    expect(flags & 0b1_0000_0011).toBe(0b1_0000_0011);
    client.close();
  });

  it("refuses what it does not know, and goes on", async () => {
    const { uri } = await servePoint();
    const client = await NbdClient.greet(uri);
    const types = async (option: number, data?: Buffer) => (await client.ask(option, data)).map(({ type }) => type);
    expect(await types(5)).toEqual([ERR_UNSUP]);
    expect(await types(4_711, Buffer.from("what"))).toEqual([ERR_UNSUP]);
    expect(await types(OPT_LIST, Buffer.from("x"))).toEqual([ERR_INVALID]);
    expect(await types(OPT_GO, Buffer.concat([named("no-such-disk"), u16(0)]))).toEqual([ERR_UNKNOWN]);
    expect(await types(OPT_GO, Buffer.from("xx"))).toEqual([ERR_INVALID]);
    expect(await types(OPT_GO, Buffer.concat([u32(900), Buffer.from("os"), u16(0)]))).toEqual([ERR_INVALID]);
    expect(await types(OPT_GO, Buffer.concat([named("os"), u16(3), u16(0)]))).toEqual([ERR_INVALID]);
    expect(await types(OPT_SET_META, Buffer.concat([named("os"), u32(1), named("base:allocation")]))).toEqual([
      ERR_INVALID,
    ]);
    await types(OPT_STRUCTURED);
    expect(await types(OPT_SET_META, Buffer.concat([named("os"), u32(2), named("base:allocation")]))).toEqual([
      ERR_INVALID,
    ]);
    expect(await types(OPT_SET_META, Buffer.concat([named("os"), u32(1), named("qemu:dirty")]))).toEqual([REP_ACK]);
    expect(await types(OPT_SET_META, Buffer.concat([named("os"), u32(1), named("base:allocation")]))).toEqual([
      REP_META,
      REP_ACK,
    ]);
    expect(await client.go("os")).toBeDefined();
    client.close();
  });

  it("hangs up on what is no NBD, without a word more and without harm to others", async () => {
    const { uri, disk } = await servePoint({ handshakeTimeoutMs: 600_000 });
    const { client: bystander } = await open(uri);
    const nonsense: Record<string, Buffer> = {
      "unknown client flags": u32(0xffff_ffff),
      "HTTP instead of options": Buffer.concat([u32(3), Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")]),
      "an option that claims 4 GiB": Buffer.concat([u32(3), Buffer.from("IHAVEOPT"), u32(3), u32(0xffff_ffff)]),
      "a name that claims 1 MiB": Buffer.concat([u32(3), Buffer.from("IHAVEOPT"), u32(1), u32(2 ** 20)]),
      "a name there is not": Buffer.concat([u32(3), Buffer.from("IHAVEOPT"), u32(1), u32(1), Buffer.from("x")]),
    };
    for (const [what, bytes] of Object.entries(nonsense)) {
      const client = await NbdClient.connect(uri);
      await client.take(18);
      client.send(bytes);
      expect(await client.untilHungUp(), what).toHaveLength(0);
    }
    const truncated = await NbdClient.connect(uri);
    truncated.send(u32(3), Buffer.from("IHAVE"));
    truncated.socket.end();
    await truncated.untilHungUp();
    const { client: confused } = await open(uri);
    confused.send(Buffer.alloc(28, 0x55));
    expect(await confused.untilHungUp()).toHaveLength(0);
    expect(await bystander.read(0, 100)).toEqual(disk.bytes.subarray(0, 100));
  });

  it("hangs up on a client that says nothing", async () => {
    const { uri } = await servePoint({ handshakeTimeoutMs: 50 });
    const client = await NbdClient.connect(uri);
    expect((await client.untilHungUp()).toString("latin1", 0, 8)).toBe("NBDMAGIC");
  });

  it("reads any range as the disk was, several requests at once", async () => {
    const { uri, disk } = await servePoint();
    const { client } = await open(uri);
    const size = disk.bytes.length;
    const ranges = [
      [0, 1],
      [CHUNK - 1, 2],
      [3 * CHUNK, 3 * CHUNK],
      [139 * CHUNK, 2 * CHUNK],
      [size - 1, 1],
      [size - 5 * CHUNK, 5 * CHUNK],
      [0, size],
    ] as const;
    const cookies = new Map(ranges.map((range) => [client.sendRequest(0, range[0], range[1]), range]));
    while (cookies.size > 0) {
      const head = await client.take(16);
      const range = cookies.get(head.readBigUInt64BE(8));
      if (!range) throw new Error("a reply to nothing");
      cookies.delete(head.readBigUInt64BE(8));
      expect(head.readUInt32BE(4)).toBe(0);
      const expected = disk.bytes.subarray(range[0], range[0] + range[1]);
      expect((await client.take(range[1])).equals(expected), String(range)).toBe(true);
    }
  });

  it("tells holes and zeros instead of sending them, and in one piece when asked to", async () => {
    const { uri, disk } = await servePoint();
    const { client } = await open(uri, { structured: true });
    const all = await client.readStructured(0, disk.bytes.length);
    expect(all.bytes.equals(disk.bytes)).toBe(true);
    expect(all.chunks.map(({ type }) => type)).toEqual([1, 2, 2, 2, 1, 2, 1]);
    const sentBytes = all.chunks.reduce((sum, { data }) => sum + data.length, 0);
    expect(sentBytes).toBeLessThan(6 * CHUNK);
    const whole = await client.readStructured(2 * CHUNK, 10 * CHUNK, 4);
    expect(whole.chunks).toHaveLength(1);
    expect(whole.bytes.equals(disk.bytes.subarray(2 * CHUNK, 12 * CHUNK))).toBe(true);
  });

  it("says which ranges hold data, and what it says agrees with the bytes", async () => {
    const { uri, disk } = await servePoint();
    const { client } = await open(uri, { structured: true });
    const size = disk.bytes.length;
    let offset = 0;
    let holeBytes = 0;
    while (offset < size) {
      client.sendRequest(BLOCK_STATUS, offset, size - offset);
      const { type, data } = await client.takeChunk();
      expect(type).toBe(5);
      for (let at = 4; at < data.length; at += 8) {
        const [length, flags] = [data.readUInt32BE(at), data.readUInt32BE(at + 4)];
        const isZero = disk.bytes.subarray(offset, offset + length).every((byte) => byte === 0);
        expect(flags === 0 || isZero).toBe(true);
        if (flags !== 0) holeBytes += length;
        offset += length;
      }
    }
    expect(offset).toBe(size);
    expect(holeBytes).toBe(size - 5 * CHUNK - 1000);
    client.sendRequest(BLOCK_STATUS, 0, size, undefined, 8);
    expect((await client.takeChunk()).data).toHaveLength(12);
  });

  it("refuses requests that make no sense, each with its error, and goes on", async () => {
    const { uri, disk } = await servePoint();
    const { client } = await open(uri);
    const size = disk.bytes.length;
    const refused: [number, number, number, number, (Buffer | undefined)?, number?][] = [
      [EINVAL, 0, size - 1, 2],
      [EINVAL, 0, 2 ** 60, 512],
      [EINVAL, 0, 0, 0],
      [EINVAL, 0, 0, 2 ** 31],
      [EINVAL, 0, 0, 512, undefined, 0xff00],
      [EINVAL, 0, 0, 512, undefined, 4],
      [EINVAL, TRIM, 0, 512],
      [EINVAL, BLOCK_STATUS, 0, 512],
      [EINVAL, 4_711, 0, 512],
      [EPERM, WRITE, 0, 5, Buffer.from("bytes")],
      [EPERM, WRITE_ZEROES, 0, 512],
    ];
    for (const [errno, command, offset, length, payload, flags] of refused) {
      client.sendRequest(command, offset, length, payload, flags);
      expect(await client.takeSimple(), `command ${command} at ${offset}`).toMatchObject({ errno });
    }
    expect(await client.read(0, 8)).toEqual(disk.bytes.subarray(0, 8));
    client.sendRequest(DISCONNECT, 0, 0);
    expect(await client.untilHungUp()).toHaveLength(0);
  });

  it("answers a damaged chunk with an error at its place, and reads everything else", async () => {
    const problems: string[] = [];
    const { uri, vault, manifest, disk } = await servePoint({ onProblem: (message) => problems.push(message) });
    const tree = new DiskReader(vault.vault, manifest, manifest.disks[0] as ManifestDisk);
    const entry = await tree.entry(2);
    if (entry.kind !== "data") throw new Error("chunk 2 holds data");
    const name = `packs/${entry.pack.transfer}/${entry.pack.number}.g0`;
    const damaged = Buffer.from(vault.archive.bodyOf(name) ?? []);
    damaged.writeUInt8(damaged.readUInt8(entry.offset + entry.length - 1) ^ 1, entry.offset + entry.length - 1);
    vault.archive.corrupt(name, damaged);
    const { client } = await open(uri);
    client.sendRequest(0, 2 * CHUNK + 5, 10);
    expect(await client.takeSimple()).toMatchObject({ errno: EIO });
    expect(await client.read(0, 2 * CHUNK)).toEqual(disk.bytes.subarray(0, 2 * CHUNK));
    expect(problems).toHaveLength(1);
    const { client: structured } = await open(uri, { structured: true });
    const { chunks } = await structured.readStructured(0, 8 * CHUNK);
    expect(chunks.at(-1)).toMatchObject({ errno: EIO, isLast: true });
    expect((await structured.readStructured(140 * CHUNK, CHUNK)).bytes).toEqual(
      disk.bytes.subarray(140 * CHUNK, 141 * CHUNK),
    );
  });

  it("serves others while one client asks for much and takes nothing", async () => {
    const { uri, disk } = await servePoint();
    const { client: greedy } = await open(uri);
    greedy.socket.pause();
    for (let count = 0; count < 40; count++) greedy.sendRequest(0, 0, 19_000_000 - count);
    // The first reply has begun, so every request that could be taken up has been.
    while (greedy.socket.bytesRead < 10_000) await sleep(5);
    const { client } = await open(uri);
    expect(await client.read(5, 5)).toEqual(disk.bytes.subarray(5, 10));
  });

  it("keeps writes of an overlay apart from the point, and forgets them", async () => {
    const { uri, disk, device, overlay, folder } = await serveOverlay();
    const { client, info } = await open(uri);
    expect(info.flags & 2).toBe(0);
    const before = Buffer.from(disk.bytes);
    const model = Buffer.from(disk.bytes);
    const size = model.length;
    let seed = 7;
    const random = (limit: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % limit;
    };
    for (let count = 0; count < 60; count++) {
      const offset = count % 7 === 0 ? size - 1 - random(5_000) : random(size - 1);
      const length = Math.min(size - offset, 1 + random(count % 5 === 0 ? 300_000 : 9_000));
      if (count % 4 === 3) {
        client.sendRequest(WRITE_ZEROES, offset, length);
        expect((await client.takeSimple()).errno).toBe(0);
        model.fill(0, offset, offset + length);
      } else {
        const bytes = Buffer.alloc(length, 1 + (count % 250));
        expect(await client.write(offset, bytes)).toBe(0);
        bytes.copy(model, offset);
      }
    }
    expect((await client.read(0, size)).equals(model)).toBe(true);
    const { client: other } = await open(uri, { structured: true });
    expect((await other.readStructured(0, size)).bytes.equals(model)).toBe(true);
    expect(Buffer.from(await device.read({ offset: 0, length: size })).equals(before)).toBe(true);
    client.sendRequest(WRITE, size - 1, 2, Buffer.from("xx"));
    expect((await client.takeSimple()).errno).toBe(ENOSPC);
    expect(await readdir(folder)).toEqual([]);
    expect(overlay.sizeBytes).toBe(size);
  });

  it("completes blocks right when writes that share one come at once", async () => {
    const { uri, disk } = await serveOverlay();
    const { client } = await open(uri);
    const model = Buffer.from(disk.bytes);
    const offsets = Array.from({ length: 32 }, (_, index) => 3 * CHUNK + index * 100);
    for (const offset of offsets) {
      model.fill(0xab, offset, offset + 50);
      client.sendRequest(WRITE, offset, 50, Buffer.alloc(50, 0xab));
    }
    for (const _ of offsets) expect((await client.takeSimple()).errno).toBe(0);
    expect((await client.read(3 * CHUNK, 8_192)).equals(model.subarray(3 * CHUNK, 3 * CHUNK + 8_192))).toBe(true);
  });
});
