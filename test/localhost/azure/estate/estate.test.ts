import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bigEstate, defaultEstate } from "../../../../localhost/azure/estate/built-in-estates.ts";
import { checkedEstate, readEstate } from "../../../../localhost/azure/estate/read-estate.ts";
import { POLL, pageBlob, SUBSCRIPTION, startTestAzure, testEstate } from "../support/azure.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "azure-estate-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("estates", () => {
  it("default: machines in two regions, relatives, a classic one, and at most 2 GiB of content", async () => {
    const azure = await startTestAzure({ ...defaultEstate(), operationMs: 0, life: { enabled: false } });
    const compute = azure.compute();
    const vms: string[] = [];
    for await (const { name, location } of compute.virtualMachines.listAll()) vms.push(`${name} ${location}`);
    expect(vms).toEqual([
      "web-01 westeurope",
      "db-01 westeurope",
      "files-01 westeurope",
      "idle-01 westeurope",
      "web-north-01 northeurope",
    ]);
    let allocated = 0;
    for await (const disk of compute.disks.list()) {
      const group = disk.id?.split("/")[4] ?? "";
      const snapshot = await compute.snapshots.createOrUpdate(
        group,
        disk.name ?? "",
        { location: disk.location ?? "", creationData: { createOption: "Copy", sourceResourceId: disk.id ?? "" } },
        POLL,
      );
      const { accessSAS } = await compute.snapshots.grantAccess(
        group,
        snapshot.name ?? "",
        { access: "Read", durationInSeconds: 600 },
        POLL,
      );
      for (const { count = 0 } of (await pageBlob(accessSAS).getPageRanges()).pageRange ?? []) allocated += count + 1;
    }
    expect(allocated).toBeGreaterThan(1024 ** 3);
    expect(allocated).toBeLessThan(2 * 1024 ** 3);
    expect((await compute.virtualMachines.get("demo", "db-01")).storageProfile?.dataDisks).toHaveLength(3);
    await azure.stop();
  });

  // How fast is the bench's to say (bench/azure.bench.ts): a busy machine is no defect.
  it("big: a thousand machines in under ten seconds, all of them listed", async () => {
    const startedAt = performance.now();
    const azure = await startTestAzure({ ...bigEstate(), life: { enabled: false } });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await azure.arm("GET", "/subscriptions");
    const first = await azure.arm("GET", `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines`);
    const second = await azure.arm("GET", String(first.body.nextLink).slice(azure.origin.length));
    expect((first.body.value as unknown[]).length + (second.body.value as unknown[]).length).toBe(1000);
    await azure.stop();
  });

  it("come from a YAML file, with disk images by paths beside it, and faults", async () => {
    const content = Buffer.alloc(1024 * 1024, "boot");
    await writeFile(join(folder, "boot.raw"), content);
    await writeFile(
      join(folder, "estate.yaml"),
      `subscriptions:
  - id: ${SUBSCRIPTION}
    name: From a file
    groups:
      - name: demo
        location: westeurope
        lock: CanNotDelete
        virtualMachines:
          - { name: own, image: boot, power: deallocated }
images:
  boot: { path: boot.raw }
faults:
  - { name: slow, fault: { kind: latency, latencyMs: 1 }, surface: blob }
operationMs: 0
`,
    );
    const { estate, path } = await readEstate(join(folder, "estate.yaml"));
    const { startAzure } = await import("../../../../localhost/azure/start.ts");
    const azure = await startAzure({ port: 0, dataFolder: join(folder, "data"), estate, estatePath: path });
    const { computeClient } = await import("../support/azure.ts");
    const compute = computeClient(azure.origin, "owner");
    const { accessSAS } = await compute.disks.grantAccess(
      "demo",
      "own_OsDisk",
      { access: "Read", durationInSeconds: 600 },
      POLL,
    );
    expect((await pageBlob(accessSAS).downloadToBuffer(0, content.length)).equals(content)).toBe(true);
    await compute.disks.revokeAccess("demo", "own_OsDisk", POLL);
    await expect(compute.virtualMachines.delete("demo", "own", POLL)).rejects.toMatchObject({ code: "ScopeLocked" });
    await azure.close();
  });

  it("are built once; another estate for the same folder is not, and that is said", async () => {
    const dataFolder = join(folder, "kept");
    const notices: string[] = [];
    const { startAzure } = await import("../../../../localhost/azure/start.ts");
    const run = async (input: ReturnType<typeof testEstate>) => {
      const azure = await startAzure({
        port: 0,
        dataFolder,
        estate: checkedEstate(input),
        onNotice: (message) => notices.push(message),
      });
      await azure.close();
    };
    await run(testEstate());
    await run(testEstate());
    expect(notices).toEqual([]);
    await run(testEstate({ subscriptions: bigEstate(1).subscriptions, images: bigEstate(1).images ?? {} }));
    expect(notices).toEqual([expect.stringContaining("another estate")]);
  });

  it("are refused with the place of the mistake", async () => {
    await expect(readEstate(join(folder, "none.yaml"))).rejects.toMatchObject({ code: "EstateNotFound" });
    await writeFile(join(folder, "bad.yaml"), "subscriptions: [}");
    await expect(readEstate(join(folder, "bad.yaml"))).rejects.toMatchObject({ code: "EstateInvalid" });
    expect(() =>
      checkedEstate({
        subscriptions: [
          { id: SUBSCRIPTION, name: "x", groups: [{ name: "g", location: "l", virtualMachines: [{ name: "v" }] }] },
        ],
      }),
    ).toThrow(/subscriptions\[0\].groups\[0\].virtualMachines\[0\].image/);
    const unknown = {
      subscriptions: [
        {
          id: SUBSCRIPTION,
          name: "x",
          groups: [{ name: "g", location: "l", virtualMachines: [{ name: "v", image: "none" }] }],
        },
      ],
    };
    await expect(startTestAzure(unknown)).rejects.toMatchObject({ code: "EstateImageUnknown" });
  });
});
