import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { computeClient, GROUP, POLL, pageBlob, startTestAzure, type TestAzure } from "../support/azure.ts";

const LOCATION = "westeurope";
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure();
  compute = azure.compute();
  await disk("victim");
});

afterEach(() => azure.control("DELETE", "faults"));

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

async function disk(name: string): Promise<void> {
  await compute.disks.createOrUpdate(
    "demo",
    name,
    { location: LOCATION, diskSizeGB: 1, creationData: { createOption: "Empty" } },
    POLL,
  );
}

async function snapshot(name: string): Promise<string> {
  const source = `${GROUP}/providers/Microsoft.Compute/disks/victim`;
  await compute.snapshots.createOrUpdate(
    "demo",
    name,
    { location: LOCATION, incremental: true, creationData: { createOption: "Copy", sourceResourceId: source } },
    POLL,
  );
  return (
    (await compute.snapshots.grantAccess("demo", name, { access: "Read", durationInSeconds: 600 }, POLL)).accessSAS ??
    ""
  );
}

const fault = (rule: object) => azure.control("PUT", "faults", { name: "f", ...rule });
const injected = async () => ((await azure.control("GET", "faults")).value as { injected: number }[])[0]?.injected;

describe("faults on request", () => {
  it("throttle, and a patient client gets through", async () => {
    await fault({
      fault: { kind: "throttle", retryAfterSeconds: 0 },
      operation: "GET microsoft.compute/disks$",
      times: 2,
    });
    await expect(compute.disks.get("demo", "victim")).rejects.toMatchObject({
      statusCode: 429,
      code: "TooManyRequests",
    });
    expect((await computeClient(azure.origin, "owner", 3).disks.get("demo", "victim")).name).toBe("victim");
    expect(await injected()).toBe(2);
  });

  it("answer 500 and 503, in ARM's format and in Storage's", async () => {
    const sas = await snapshot("s-500");
    await fault({ fault: { kind: "error", status: 503 }, surface: "arm" });
    await expect(compute.disks.get("demo", "victim")).rejects.toMatchObject({ statusCode: 503, code: "ServerBusy" });
    await fault({ fault: { kind: "error", status: 503 }, surface: "blob" });
    await expect(pageBlob(sas).getPageRanges()).rejects.toMatchObject({ statusCode: 503, code: "ServerBusy" });
    await fault({ fault: { kind: "error", status: 500 }, surface: "arm" });
    await expect(compute.disks.get("demo", "victim")).rejects.toMatchObject({
      statusCode: 500,
      code: "InternalServerError",
    });
    await pageBlob(sas).getPageRanges();
  });

  it("make answers late", async () => {
    await fault({ fault: { kind: "latency", latencyMs: 150 }, times: 1 });
    const startedAt = performance.now();
    await compute.disks.get("demo", "victim");
    expect(performance.now() - startedAt).toBeGreaterThan(145);
  });

  it("drop the connection before anything is done, or after everything is done", async () => {
    await fault({ fault: { kind: "drop" }, operation: "PUT microsoft.compute/disks$", times: 1 });
    await expect(disk("dropped")).rejects.toMatchObject({
      code: expect.stringMatching(/ECONNRESET|REQUEST_SEND_ERROR/),
    });
    await expect(compute.disks.get("demo", "dropped")).rejects.toMatchObject({ statusCode: 404 });
    await fault({ fault: { kind: "lost-answer" }, operation: "PUT microsoft.compute/disks$", times: 1 });
    await expect(disk("unheard")).rejects.toMatchObject({
      code: expect.stringMatching(/ECONNRESET|REQUEST_SEND_ERROR/),
    });
    expect((await compute.disks.get("demo", "unheard")).name).toBe("unheard");
  });

  it("cut a download short, which the client reports as aborted, and the next try succeeds", async () => {
    const sas = await snapshot("s-cut");
    await fault({ fault: { kind: "truncate" }, surface: "blob", operation: "read", times: 1 });
    const download = () => pageBlob(sas).downloadToBuffer(0, 1024 * 1024);
    await expect(download()).rejects.toMatchObject({ name: "AbortError" });
    expect((await download()).equals(Buffer.alloc(1024 * 1024))).toBe(true);
    expect(await injected()).toBe(1);
  });

  it("cut a long download, which is streamed, in its middle", async () => {
    const sas = await snapshot("s-long");
    for (const length of [8, 9, 64].map((mib) => mib * 1024 * 1024)) {
      await fault({ fault: { kind: "truncate" }, surface: "blob", operation: "read", times: 1 });
      const { readableStreamBody, contentLength } = await pageBlob(sas).download(0, length);
      expect(contentLength).toBe(length);
      let arrived = 0;
      const read = async () => {
        for await (const chunk of readableStreamBody ?? []) arrived += chunk.length;
      };
      await expect(read()).rejects.toThrow();
      expect(arrived).toBeGreaterThan(0);
      expect(arrived).toBeLessThanOrEqual(length / 2);
    }
  });

  it("let a snapshot vanish under its reader", async () => {
    const sas = await snapshot("s-vanish");
    await pageBlob(sas).getPageRanges();
    await fault({ fault: { kind: "snapshot-vanishes" }, surface: "blob", times: 1 });
    await expect(pageBlob(sas).getPageRanges()).rejects.toMatchObject({ statusCode: 404 });
    await expect(compute.snapshots.get("demo", "s-vanish")).rejects.toMatchObject({ statusCode: 404 });
  });

  it("let a SAS expire before its time", async () => {
    await fault({ fault: { kind: "sas-expires-early", share: 0 }, operation: "begingetaccess" });
    const sas = await snapshot("s-early");
    await expect(pageBlob(sas).getPageRanges()).rejects.toMatchObject({
      statusCode: 403,
      code: "AuthenticationFailed",
    });
  });

  it("let an operation fail after it was accepted: what it makes is Failed, what it deletes stays", async () => {
    await fault({
      fault: { kind: "operation-fails", code: "DiskServiceInternalError" },
      operation: "^(PUT|DELETE) microsoft.compute/disks$",
      times: 2,
    });
    await expect(disk("halfway")).rejects.toMatchObject({
      message: expect.stringContaining("DiskServiceInternalError"),
    });
    expect((await compute.disks.get("demo", "halfway")).provisioningState).toBe("Failed");
    await expect(compute.disks.delete("demo", "halfway", POLL)).rejects.toMatchObject({
      message: expect.stringContaining("DiskServiceInternalError"),
    });
    expect((await compute.disks.get("demo", "halfway")).name).toBe("halfway");
    await compute.disks.delete("demo", "halfway", POLL);
    await expect(compute.disks.get("demo", "halfway")).rejects.toMatchObject({ statusCode: 404 });
  });

  it("set the clock wrong", async () => {
    const sas = await snapshot("s-skew");
    await fault({ fault: { kind: "clock-skew", skewSeconds: 3600 } });
    await expect(pageBlob(sas).getPageRanges()).rejects.toMatchObject({
      statusCode: 403,
      code: "AuthenticationFailed",
    });
    await azure.control("DELETE", "faults");
    await pageBlob(sas).getPageRanges();
  });

  it("come with a probability, the same ones for the same seed", async () => {
    const run = async () => {
      await fault({ fault: { kind: "error", status: 500 }, surface: "arm", probability: 0.3, seed: 7 });
      const hits: boolean[] = [];
      for (let index = 0; index < 40; index += 1)
        hits.push((await azure.arm("GET", `${GROUP}/providers/Microsoft.Compute/disks/victim`)).status === 500);
      return hits;
    };
    const first = await run();
    expect(first.filter(Boolean).length).toBeGreaterThan(4);
    expect(first.filter(Boolean).length).toBeLessThan(22);
    expect(await run()).toEqual(first);
  });

  it("are not set by web pages", async () => {
    const ask = async (headers: Record<string, string>) =>
      (await fetch(`${azure.origin}/control/faults`, { headers })).status;
    expect(await ask({})).toBe(200);
    expect(await ask({ origin: "https://example.com" })).toBe(403);
  });

  it("are refused when they make no sense", async () => {
    await expect(fault({ fault: { kind: "earthquake" } })).rejects.toThrow("InvalidParameter");
    await expect(fault({ fault: { kind: "drop" }, probability: 2 })).rejects.toThrow("InvalidParameter");
    await expect(fault({ fault: { kind: "drop" }, operation: "(" })).rejects.toThrow("InvalidParameter");
    await expect(azure.control("GET", "nothing")).rejects.toThrow("NotFound");
  });
});
