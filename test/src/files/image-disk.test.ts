import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixedVhdFooter } from "../../../src/base/vhd-footer.ts";
import { createImage, openImage } from "../../../src/files/image-disk.ts";

const MiB = 1024 * 1024;

describe("Image files as disks", () => {
  let root: string;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-image-"));
  });
  afterAll(() => rm(root, { recursive: true }));
  const path = (name: string) => join(root, `${count++}-${name}`);

  async function sizeSeen(bytes: Uint8Array): Promise<number> {
    const image = path("image");
    await writeFile(image, bytes);
    const source = await openImage(image);
    await source.close();
    return source.sizeBytes;
  }

  it("takes a fixed VHD for the disk before its footer, and a damaged footer for data", async () => {
    const disk = randomBytes(4096);
    const footer = fixedVhdFooter(disk.length, randomBytes(16), new Date());
    expect(await sizeSeen(Buffer.concat([disk, footer]))).toBe(disk.length);
    for (const at of [0, 12, 30, 40, 48, 60, 64, 70, 511]) {
      const damaged = Buffer.from(footer);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      expect(await sizeSeen(Buffer.concat([disk, damaged])), `byte ${at}`).toBe(disk.length + 512);
    }
    expect(await sizeSeen(Buffer.concat([disk, disk, footer]))).toBe(2 * disk.length + 512);
    expect(await sizeSeen(disk)).toBe(disk.length);
  });

  it("writes the footer that the format's description asks for", () => {
    // 127 GiB is more than 65535 cylinders of 16 heads of 63 sectors can tell, so tracks have 255 sectors.
    const footer = fixedVhdFooter(127 * 1024 * MiB, Buffer.alloc(16, 7), new Date(Date.UTC(2000, 0, 1, 0, 0, 5)));
    expect(footer).toHaveLength(512);
    expect(footer.toString("latin1", 0, 8)).toBe("conectix");
    expect(footer.readUInt32BE(12)).toBe(0x0001_0000);
    expect(footer.readBigUInt64BE(16)).toBe(0xffff_ffff_ffff_ffffn);
    expect(footer.readUInt32BE(24)).toBe(5);
    expect([footer.readBigUInt64BE(40), footer.readBigUInt64BE(48)]).toEqual([136365211648n, 136365211648n]);
    expect([footer.readUInt16BE(56), footer[58], footer[59]]).toEqual([65_278, 16, 255]);
    expect(footer.readUInt32BE(60)).toBe(2);
    const sum = footer.reduce((total, byte, at) => (at >= 64 && at < 68 ? total : total + byte), 0);
    expect(footer.readUInt32BE(64)).toBe(0xffff_ffff - sum);
    // 10 MiB: 20480 sectors in 17 a track and 4 heads.
    const small = fixedVhdFooter(10 * MiB, Buffer.alloc(16), new Date());
    expect([small.readUInt16BE(56), small[58], small[59]]).toEqual([301, 4, 17]);
  });

  it("shows a new image only when it is whole, sparse where nothing was written", async () => {
    const image = path("new.vhd");
    const sink = await createImage(image, 64 * MiB, "vhd");
    await sink.write(9 * MiB, Buffer.alloc(4096, 5));
    expect(await stat(image).catch(() => undefined)).toBeUndefined();
    await sink.finish();
    const { size, blocks } = await stat(image);
    expect(size).toBe(64 * MiB + 512);
    expect(blocks * 512).toBeLessThan(MiB);
    const source = await openImage(image);
    expect(source.sizeBytes).toBe(64 * MiB);
    expect(await source.read({ offset: 9 * MiB - 1, length: 3 })).toEqual(Buffer.from([0, 5, 5]));
    await source.close();
    expect((await readdir(root)).filter((name) => name.endsWith(".partial"))).toEqual([]);
  });

  it("has all that was written when it is whole, however much goes to the disk meanwhile", async () => {
    const target = path("large");
    const block = randomBytes(4 * MiB);
    const blocks = 80;
    const sink = await createImage(target, blocks * block.length, "raw");
    await Promise.all(
      Array.from({ length: blocks }, (_, at) =>
        sink.write(at * block.length, Buffer.concat([Buffer.from([at]), block.subarray(1)])),
      ),
    );
    await sink.finish();
    const written = await readFile(target);
    expect(written.length).toBe(blocks * block.length);
    for (let at = 0; at < blocks; at++) {
      expect(written[at * block.length]).toBe(at);
      const rest = written.subarray(at * block.length + 1, (at + 1) * block.length);
      expect(rest.equals(block.subarray(1)), `block ${at}`).toBe(true);
    }
  });

  it("leaves an existing file alone until the new one is whole, and nothing of one that is given up", async () => {
    const image = path("old.img");
    await writeFile(image, "old");
    await expect(createImage(image, 4096, "raw")).rejects.toMatchObject({ code: "HoldfastImageExists" });
    const given = await createImage(image, 4096, "raw", { replace: true });
    await given.write(0, Buffer.alloc(4096, 1));
    await given.discard();
    expect(await readFile(image, "utf8")).toBe("old");
    const first = await createImage(path("twice.img"), 4096, "raw");
    await expect(createImage(join(root, `${count - 1}-twice.img`), 4096, "raw")).rejects.toMatchObject({
      kind: "conflict",
      hint: expect.stringContaining("killed"),
    });
    await first.discard();
    const replaced = await createImage(image, 4096, "raw", { replace: true });
    await replaced.finish();
    expect(await readFile(image)).toEqual(Buffer.alloc(4096));
    await expect(createImage(root, 4096, "raw", { replace: true })).rejects.toMatchObject({ kind: "invalid" });
    await expect(createImage(join(root, "none", "x"), 4096, "raw")).rejects.toMatchObject({ kind: "not-found" });
    await expect(createImage(path("odd.vhd"), 4097, "vhd")).rejects.toMatchObject({ kind: "invalid" });
  });
});
