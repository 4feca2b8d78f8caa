import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, pageBlob, startTestAzure, type TestAzure } from "../support/azure.ts";

// The ways a backup product brings a machine back, each from the first call to the last, with the bytes looked at in the end.
const LOCATION = "westeurope";
const PAGE = 512;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure();
  compute = azure.compute("managed-identity");
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

const id = (type: string, name: string) => `${GROUP}/providers/Microsoft.Compute/${type}/${name}`;

async function guestWrites(disk: string, offset: number, fill: number): Promise<void> {
  const url = `${azure.origin}/control/guest-pages?disk=${encodeURIComponent(id("disks", disk))}&offset=${offset}`;
  expect((await fetch(url, { method: "PUT", body: Buffer.alloc(8 * PAGE, fill) })).status).toBe(200);
}

/** What a disk that no machine runs on holds at a place. */
async function readDisk(disk: string, offset: number): Promise<Buffer> {
  const read = { access: "Read", durationInSeconds: 600 };
  const { accessSAS } = await compute.disks.grantAccess("demo", disk, read, POLL);
  const bytes = await pageBlob(accessSAS).downloadToBuffer(offset, 8 * PAGE);
  await compute.disks.revokeAccess("demo", disk, POLL);
  return bytes;
}

/** A restore point of a machine; gives its disk restore points by the name of their disk. */
async function pointOf(vm: string, name: string): Promise<Map<string, string>> {
  const source = { id: id("virtualMachines", vm) };
  await compute.restorePointCollections.createOrUpdate("demo", `${vm}-points`, { location: LOCATION, source });
  const { sourceMetadata } = await compute.restorePoints.create("demo", `${vm}-points`, name, {}, POLL);
  const { osDisk, dataDisks = [] } = sourceMetadata?.storageProfile ?? {};
  return new Map(
    [osDisk, ...dataDisks].map((disk) => [
      disk?.managedDisk?.id?.split("/").at(-1) ?? "",
      disk?.diskRestorePoint?.id ?? "",
    ]),
  );
}

async function restored(name: string, sourceResourceId: string | undefined): Promise<string> {
  const creationData = { createOption: "Restore", sourceResourceId: sourceResourceId ?? "" };
  const disk = await compute.disks.createOrUpdate(
    "demo",
    name,
    { location: LOCATION, sku: { name: "Premium_LRS" }, creationData },
    POLL,
  );
  expect(disk).toMatchObject({ provisioningState: "Succeeded", diskState: "Unattached" });
  return disk.id ?? "";
}

describe("a machine comes back", () => {
  it("in place: its disks are replaced while it is deallocated, by PUT as by PATCH, and the old ones stay", async () => {
    await guestWrites("db-01_OsDisk", 1 * GIB, 1);
    await guestWrites("db-01_DataDisk_1", 0, 2);
    const points = await pointOf("db-01", "before");
    await guestWrites("db-01_OsDisk", 1 * GIB, 99);
    await guestWrites("db-01_DataDisk_1", 0, 99);
    const os = await restored("db-01-os-again", points.get("db-01_OsDisk"));
    const data = await restored("db-01-data-again", points.get("db-01_DataDisk_1"));
    await compute.virtualMachines.deallocate("demo", "db-01", POLL);
    const vm = await compute.virtualMachines.get("demo", "db-01");
    const { osDisk, dataDisks = [] } = vm.storageProfile ?? {};
    const swapped = await compute.virtualMachines.createOrUpdate(
      "demo",
      "db-01",
      {
        ...vm,
        osProfile: undefined,
        storageProfile: {
          osDisk: { ...osDisk, createOption: "Attach", name: "db-01-os-again", managedDisk: { id: os } },
          dataDisks,
        },
      } as never,
      POLL,
    );
    expect(swapped).toMatchObject({ vmId: vm.vmId, storageProfile: { osDisk: { managedDisk: { id: os } } } });
    const others = dataDisks.map((disk) =>
      disk.lun === 1 ? { ...disk, name: "db-01-data-again", managedDisk: { id: data } } : disk,
    );
    const patched = await compute.virtualMachines.update(
      "demo",
      "db-01",
      { storageProfile: { dataDisks: others } } as never,
      POLL,
    );
    expect(patched.storageProfile?.dataDisks?.map(({ lun, managedDisk }) => [lun, managedDisk?.id])).toEqual([
      [0, id("disks", "db-01_DataDisk_0")],
      [1, data],
      [2, id("disks", "db-01_DataDisk_2")],
    ]);
    for (const [disk, offset, was, is] of [
      ["db-01_OsDisk", GIB, 99, 1],
      ["db-01_DataDisk_1", 0, 99, 2],
    ] as const) {
      expect(await compute.disks.get("demo", disk)).toMatchObject({ diskState: "Unattached" });
      expect((await readDisk(disk, offset)).equals(Buffer.alloc(8 * PAGE, was))).toBe(true);
      const again = disk === "db-01_OsDisk" ? "db-01-os-again" : "db-01-data-again";
      expect((await compute.disks.get("demo", again)).diskState).toBe("Reserved");
      expect((await readDisk(again, offset)).equals(Buffer.alloc(8 * PAGE, is))).toBe(true);
    }
    await compute.virtualMachines.start("demo", "db-01", POLL);
    expect((await compute.disks.get("demo", "db-01-os-again")).diskState).toBe("Attached");
    expect([...(await pointOf("db-01", "after")).keys()][0]).toBe("db-01-os-again");
  });

  it("beside the old one: as a new machine of restored disks, with its interface and firmware settings", async () => {
    await guestWrites("web-01_OsDisk", 512 * MIB, 3);
    const points = await pointOf("web-01", "copied");
    const osId = await restored("web-02-os", points.get("web-01_OsDisk"));
    const nic = `${GROUP}/providers/Microsoft.Network/networkInterfaces/web-02-nic`;
    const subnet = { id: `${GROUP}/providers/Microsoft.Network/virtualNetworks/demo-vnet/subnets/default` };
    const ipConfigurations = [{ name: "ipconfig1", properties: { subnet } }];
    await azure.arm("PUT", nic, { location: LOCATION, properties: { ipConfigurations } });
    const vm = await compute.virtualMachines.createOrUpdate(
      "demo",
      "web-02",
      {
        location: LOCATION,
        zones: ["1"],
        tags: { restored: "yes" },
        hardwareProfile: { vmSize: "Standard_D2s_v5" },
        storageProfile: {
          osDisk: {
            osType: "Linux",
            createOption: "Attach",
            managedDisk: { id: osId },
            caching: "ReadWrite",
            deleteOption: "Detach",
          },
          dataDisks: [],
        },
        networkProfile: { networkInterfaces: [{ id: nic, primary: true }] },
        securityProfile: {
          securityType: "TrustedLaunch",
          uefiSettings: { secureBootEnabled: true, vTpmEnabled: true },
        },
      },
      POLL,
    );
    expect(vm).toMatchObject({
      provisioningState: "Succeeded",
      zones: ["1"],
      tags: { restored: "yes" },
      securityProfile: { securityType: "TrustedLaunch", uefiSettings: { secureBootEnabled: true, vTpmEnabled: true } },
      networkProfile: { networkInterfaces: [{ id: nic, primary: true }] },
    });
    expect(vm.vmId).not.toBe((await compute.virtualMachines.get("demo", "web-01")).vmId);
    const view = await compute.virtualMachines.instanceView("demo", "web-02");
    expect(view.statuses?.map(({ code }) => code)).toContain("PowerState/running");
    await compute.virtualMachines.deallocate("demo", "web-02", POLL);
    expect((await readDisk("web-02-os", 512 * MIB)).equals(Buffer.alloc(8 * PAGE, 3))).toBe(true);
    await compute.virtualMachines.delete("demo", "web-02", POLL);
    await compute.disks.delete("demo", "web-02-os", POLL);
    expect((await azure.arm("DELETE", nic)).status).toBe(202);
  });

  it("from a vault: an uploaded disk takes the place of a data disk while the machine runs", async () => {
    const bytes = Buffer.alloc(20 * MIB + PAGE);
    bytes.fill(4, 3 * MIB, 4 * MIB);
    bytes.write("conectix", 20 * MIB);
    const creationData = { createOption: "Upload", uploadSizeBytes: bytes.length };
    const disk = await compute.disks.createOrUpdate("demo", "from-vault", { location: LOCATION, creationData }, POLL);
    expect(disk.diskState).toBe("ReadyToUpload");
    const write = { access: "Write", durationInSeconds: 600 };
    const blob = pageBlob((await compute.disks.grantAccess("demo", "from-vault", write, POLL)).accessSAS);
    await blob.uploadPages(bytes.subarray(3 * MIB, 4 * MIB), 3 * MIB, MIB);
    const attach = () =>
      compute.virtualMachines.attachDetachDataDisks(
        "demo",
        "web-01",
        { dataDisksToAttach: [{ diskId: disk.id ?? "", lun: 7 }] },
        POLL,
      );
    await expect(attach()).rejects.toMatchObject({ statusCode: 409, code: "OperationNotAllowed" });
    await blob.uploadPages(bytes.subarray(20 * MIB), 20 * MIB, PAGE);
    await compute.disks.revokeAccess("demo", "from-vault", POLL);
    await attach();
    expect(await compute.disks.get("demo", "from-vault")).toMatchObject({
      diskState: "Attached",
      managedBy: id("virtualMachines", "web-01"),
    });
    await guestWrites("from-vault", 3 * MIB, 5);
    const dataDisksToDetach = [{ diskId: disk.id ?? "" }];
    await compute.virtualMachines.attachDetachDataDisks("demo", "web-01", { dataDisksToDetach }, POLL);
    const found = await readDisk("from-vault", 3 * MIB);
    expect(found.equals(Buffer.alloc(8 * PAGE, 5))).toBe(true);
  });
});
