import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AnonymousCredential, ContainerClient, PageBlobClient } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPageBlobSource } from "../../../src/azure/blob-page-source.ts";
import type { ByteRange } from "../../../src/ports/object-store.ts";
import { type Azurite, startAzurite } from "../../support/azurite.ts";
import { TestVault } from "../../support/vault-fixture.ts";

const KiB = 1024;
const identity = { diskUniqueId: "d", snapshotId: "s2", snapshotTime: "2026-01-01T00:00:00.000Z" };
const earlier = { ...identity, snapshotId: "s1" };

async function all(ranges: AsyncIterable<ByteRange> | undefined): Promise<ByteRange[] | undefined> {
  if (ranges === undefined) return undefined;
  const found: ByteRange[] = [];
  for await (const range of ranges) found.push(range);
  return found;
}

describe("A page blob as a disk to back up", () => {
  let azurite: Azurite;
  let server: Server | undefined;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(async () => {
    await azurite.stop();
    server?.close();
  });

  it("is read where it has pages, and compared by content where its store cannot tell what changed", async () => {
    const container = new ContainerClient(`${azurite.blobEndpoint}/disks`, azurite.credential);
    await container.createIfNotExists();
    const blob = container.getPageBlobClient("os.vhd");
    await blob.create(1024 * KiB);
    const bytes = Buffer.alloc(1024 * KiB);
    const write = async (offset: number, data: Buffer) => {
      data.copy(bytes, offset);
      await blob.uploadPages(data, offset, data.length);
    };
    await write(64 * KiB, randomBytes(4 * KiB));
    await write(512 * KiB, randomBytes(64 * KiB));
    const first = blob.withSnapshot((await blob.createSnapshot()).snapshot ?? "");
    const source = await openPageBlobSource(async () => first, { identity: earlier });
    expect(await all(source.allocatedRanges())).toEqual([
      { offset: 64 * KiB, length: 4 * KiB },
      { offset: 512 * KiB, length: 64 * KiB },
    ]);
    const vault = await TestVault.create();
    const backup = (disk: typeof source) => vault.backUp(disk as never);
    expect((await vault.restore(await backup(source))).equals(bytes)).toBe(true);
    await write(900 * KiB, randomBytes(KiB));
    await blob.clearPages(64 * KiB, 4 * KiB);
    bytes.fill(0, 64 * KiB, 68 * KiB);
    const second = blob.withSnapshot((await blob.createSnapshot()).snapshot ?? "");
    const next = await openPageBlobSource(async () => second, {
      identity,
      base: async () => ({ snapshot: "whatever" }),
    });
    expect(await next.changedRanges(earlier)).toBeUndefined();
    expect((await vault.restore(await backup(next))).equals(bytes)).toBe(true);
  });

  it("takes changed and cleared ranges as they come, over several pages, from a store that can tell", async () => {
    const page = (ranges: string, marker: string) =>
      `<?xml version="1.0" encoding="utf-8"?><PageList>${ranges}<NextMarker>${marker}</NextMarker></PageList>`;
    const range = (kind: string, start: number, end: number) =>
      `<${kind}><Start>${start}</Start><End>${end}</End></${kind}>`;
    const asked: string[] = [];
    server = createServer((request, response) => {
      const url = new URL(request.url ?? "", "http://x");
      asked.push(`${request.method} ${url.searchParams.get("comp")} ${url.searchParams.get("marker")}`);
      const headers = { server: "Windows-Azure-Blob/1.0", "x-ms-blob-type": "PageBlob", "x-ms-version": "2020-10-02" };
      if (request.method === "HEAD") return response.writeHead(200, { ...headers, "content-length": 1024 * KiB }).end();
      const body = url.searchParams.has("marker")
        ? page(range("PageRange", 9216, 9727), "")
        : page(range("PageRange", 0, 511) + range("ClearRange", 512, 1023) + range("PageRange", 4096, 8191), "more");
      return response.writeHead(200, { ...headers, "content-type": "application/xml" }).end(body);
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server?.once("listening", resolve));
    const client = new PageBlobClient(
      `http://127.0.0.1:${(server.address() as AddressInfo).port}/disks/os.vhd?sig=secret`,
      new AnonymousCredential(),
    );
    const source = await openPageBlobSource(async () => client, {
      identity,
      base: async () => ({ snapshot: "2026-01-01T00:00:00Z" }),
    });
    const changed = await all(await source.changedRanges(earlier));
    expect(changed?.sort((left, right) => left.offset - right.offset)).toEqual([
      { offset: 0, length: 512 },
      { offset: 512, length: 512 },
      { offset: 4096, length: 4096 },
      { offset: 9216, length: 512 },
    ]);
    expect(await source.changedRanges({ ...earlier, diskUniqueId: "another" })).toBeUndefined();
  });

  describe("of a managed disk", () => {
    const GIB = 2 ** 30;
    /** A server that knows what changed, and lists at most so many ranges in one answer, as Azure does. */
    async function managedDisk(changed: readonly ByteRange[], options: { limit?: number; footer?: number } = {}) {
      const { limit = 10_000 } = options;
      const windows: [number, number][] = [];
      const asked: string[] = [];
      const http = createServer((request, response) => {
        const headers = {
          server: "Windows-Azure-Blob/1.0",
          "x-ms-blob-type": "PageBlob",
          "x-ms-version": "2020-10-02",
        };
        if (request.method === "HEAD")
          return response.writeHead(200, { ...headers, "content-length": GIB + 512 }).end();
        asked.push(String(request.headers["x-ms-previous-snapshot-url"]));
        const [, from = 0, to = 0] = (/bytes=(\d+)-(\d+)/.exec(String(request.headers["x-ms-range"])) ?? []).map(
          Number,
        );
        windows.push([from, to + 1]);
        const here = changed.filter(({ offset, length }) => offset <= to && offset + length > from).slice(0, limit);
        const list = here.map(({ offset, length }, index) => {
          const kind = index % 2 === 0 ? "PageRange" : "ClearRange";
          return `<${kind}><Start>${offset}</Start><End>${offset + length - 1}</End></${kind}>`;
        });
        const body = `<?xml version="1.0" encoding="utf-8"?><PageList>${list.join("")}<NextMarker/></PageList>`;
        return response.writeHead(200, { ...headers, "content-type": "application/xml" }).end(body);
      }).listen(0, "127.0.0.1");
      await new Promise((resolve) => http.once("listening", resolve));
      const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/md-1/abcd?sig=secret`;
      const source = await openPageBlobSource(async () => new PageBlobClient(url, new AnonymousCredential()), {
        identity,
        hasFooter: true,
        base: async () => ({ url: "http://127.0.0.1/earlier?sig=other" }),
      });
      const found = (await all(await source.changedRanges(earlier)))?.sort((left, right) => left.offset - right.offset);
      http.close();
      return { source, found, windows, asked };
    }

    it("a single changed page is one page, and the footer is none", async () => {
      const { source, found, asked } = await managedDisk([
        { offset: 512, length: 512 },
        { offset: GIB - 512, length: 1024 },
      ]);
      expect(source.sizeBytes).toBe(GIB);
      expect(found).toEqual([
        { offset: 512, length: 512 },
        { offset: GIB - 512, length: 512 },
      ]);
      expect(asked).toEqual(["http://127.0.0.1/earlier?sig=other"]);
    });

    it("no range is lost where one answer cannot list them all", async () => {
      const scattered = Array.from({ length: 25_000 }, (_, index) => ({ offset: index * 1024, length: 512 }));
      const tail = { offset: 700 * 2 ** 20, length: 4096 };
      const { found, windows } = await managedDisk([...scattered, tail]);
      expect(found).toEqual([...scattered, tail]);
      expect(windows.length).toBeLessThan(40);
    });
  });

  it("says that a snapshot is gone without telling its address", async () => {
    const container = new ContainerClient(`${azurite.blobEndpoint}/disks`, azurite.credential);
    const opening = openPageBlobSource(async () => container.getPageBlobClient("no-such.vhd"), { identity });
    await expect(opening).rejects.toMatchObject({ code: "HoldfastSourceGone", message: "The snapshot is gone" });
  });
});
