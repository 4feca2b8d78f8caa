import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { azureMachines } from "../../../src/azure/azure-machines.ts";
import type { MachineSummary, Machines } from "../../../src/ports/machines.ts";
import { GROUP, SUBSCRIPTION } from "../../localhost/azure/support/azure.ts";
import { type ServiceAzure, startServiceAzure } from "../../support/azure-service.ts";

const GIB = 2 ** 30;
const DB = `${GROUP}/providers/Microsoft.Compute/virtualMachines/db-01`;
const CLASSIC = `${GROUP}/providers/Microsoft.ClassicCompute/virtualMachines/classic-01`;
let azure: ServiceAzure;
let machines: Machines;

beforeAll(async () => {
  azure = await startServiceAzure({ pageSize: 2 });
  machines = azureMachines(azure.connect());
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

async function all(pages: AsyncIterable<readonly MachineSummary[]>): Promise<MachineSummary[]> {
  const found: MachineSummary[] = [];
  for await (const page of pages) found.push(...page);
  return found;
}

describe("Machines", () => {
  it("of both kinds are listed, over all pages, with the managed identity's token over loopback", async () => {
    const listed = await all(machines.list(SUBSCRIPTION));
    const told = listed.map(({ kind, name, resourceGroup, location }) => [kind, name, resourceGroup, location]);
    expect(told.sort()).toEqual([
      ["classic", "classic-01", "demo", "westeurope"],
      ["resource-manager", "db-01", "demo", "westeurope"],
      ["resource-manager", "web-01", "demo", "westeurope"],
      ["resource-manager", "web-north-01", "north", "northeurope"],
    ]);
    expect(listed.map(({ id }) => id)).toContain(DB);
  });

  it("tell all that a backup must know", async () => {
    const db = await machines.read(DB);
    expect(db).toMatchObject({
      id: DB,
      sizeName: "Standard_D2s_v5",
      osType: "Windows",
      power: "running",
      provisioning: "succeeded",
      agent: { state: "ready", version: "2.7.41491.1176" },
      securityType: "Standard",
    });
    expect(db?.vmId).toMatch(/^[0-9a-f-]{36}$/);
    expect(
      db?.disks.map(({ lun, name, sizeBytes, skuName, isReadable }) => [lun, name, sizeBytes, skuName, isReadable]),
    ).toEqual([
      [-1, "db-01_OsDisk", 2 * GIB, "Premium_LRS", true],
      [0, "db-01_DataDisk_0", GIB, "Premium_LRS", true],
      [1, "db-01_DataDisk_1", GIB, "Premium_LRS", true],
      [2, "db-01_DataDisk_2", 2 * GIB, "Premium_LRS", true],
    ]);
    expect(db?.disks.map(({ imageReference }) => imageReference !== undefined)).toEqual([true, false, false, false]);
    expect(JSON.parse(db?.configuration ?? "")).toMatchObject({
      id: DB,
      properties: {
        hardwareProfile: { vmSize: "Standard_D2s_v5" },
        storageProfile: { dataDisks: [{ lun: 0 }, {}, {}] },
      },
    });
  });

  it("are found under any spelling of their id, and are undefined where there is none", async () => {
    expect((await machines.read(DB.toUpperCase()))?.id).toBe(DB);
    expect(await machines.read(`${DB}-gone`)).toBeUndefined();
    expect(await machines.read(DB.replace("/demo/", "/no-such-group/"))).toBeUndefined();
    expect(await machines.read(`${CLASSIC}-gone`)).toBeUndefined();
    await expect(machines.read("/subscriptions/x")).rejects.toMatchObject({ kind: "invalid" });
  });

  it("show their power, and what is known of their agent in it", async () => {
    const seen = async () => {
      const { power, agent } = (await machines.read(DB)) ?? {};
      return [power, agent?.state];
    };
    await azure.control("PATCH", "virtual-machine", { id: DB, agent: "absent" });
    expect(await seen()).toEqual(["running", "absent"]);
    await azure.control("PATCH", "virtual-machine", { id: DB, agent: "stale" });
    expect(await seen()).toEqual(["running", "not-ready"]);
    await azure.compute().virtualMachines.deallocate("demo", "db-01", { updateIntervalInMs: 5 });
    expect(await seen()).toEqual(["deallocated", "not-ready"]);
    await azure.compute().virtualMachines.start("demo", "db-01", { updateIntervalInMs: 5 });
    await azure.control("PATCH", "virtual-machine", { id: DB, agent: "ready" });
  });

  it("say which of their disks cannot be read over the network", async () => {
    const disks = azure.compute().disks;
    await disks.update("demo", "db-01_DataDisk_1", { networkAccessPolicy: "DenyAll" }, { updateIntervalInMs: 5 });
    expect((await machines.read(DB))?.disks.map(({ isReadable }) => isReadable)).toEqual([true, true, false, true]);
    await disks.update("demo", "db-01_DataDisk_1", { networkAccessPolicy: "AllowAll" }, { updateIntervalInMs: 5 });
  });

  it("of the classic kind are read from their page blobs", async () => {
    const classic = await machines.read(CLASSIC);
    expect(classic).toMatchObject({
      kind: "classic",
      name: "classic-01",
      power: "running",
      agent: { state: "ready" },
      disks: [{ lun: -1, name: "classic-01-os", sizeBytes: 2 * GIB, isReadable: true }],
    });
    expect(classic?.disks[0]?.diskId).toBe(`${azure.origin}/democlassic/vhds/classic-01-os.vhd`);
  });

  it("come with a wait when Azure is asked too much, and with a reason when it does not answer", async () => {
    await azure.fault("busy", { kind: "throttle", retryAfterSeconds: 60 }, { surface: "arm" });
    await expect(machines.read(DB)).rejects.toMatchObject({ kind: "throttled", retryAfterMs: 60_000 });
    await azure.noFaults();
    await azure.fault("down", { kind: "error", status: 500 }, { surface: "arm" });
    await expect(machines.read(DB)).rejects.toMatchObject({ kind: "unavailable" });
    await expect(all(machines.list(SUBSCRIPTION))).rejects.toMatchObject({ kind: "unavailable" });
    await azure.noFaults();
    await azure.fault("cut", { kind: "drop" }, { surface: "arm" });
    await expect(machines.read(DB)).rejects.toMatchObject({ kind: "unavailable" });
    await azure.noFaults();
    for (const kind of ["drop", "truncate", "lost-answer", "error", "throttle"]) {
      await azure.fault(
        kind,
        { kind, ...(kind === "throttle" ? { retryAfterSeconds: 0 } : {}) },
        { surface: "arm", times: 2 },
      );
      expect((await machines.read(DB))?.name).toBe("db-01");
      await azure.noFaults();
    }
  });
});
