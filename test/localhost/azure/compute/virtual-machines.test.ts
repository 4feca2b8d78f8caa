import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, startTestAzure, type TestAzure } from "../support/azure.ts";

const LOCATION = "westeurope";
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure();
  compute = azure.compute();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

const id = (type: string, name: string) => `${GROUP}/providers/Microsoft.Compute/${type}/${name}`;

async function emptyDisk(name: string): Promise<string> {
  const disk = await compute.disks.createOrUpdate(
    "demo",
    name,
    { location: LOCATION, diskSizeGB: 1, creationData: { createOption: "Empty" } },
    POLL,
  );
  return disk.id ?? "";
}

async function machine(name: string, osDisk: string, dataDisks: string[] = [], more = {}) {
  return compute.virtualMachines.createOrUpdate(
    "demo",
    name,
    {
      location: LOCATION,
      hardwareProfile: { vmSize: "Standard_D2s_v5" },
      storageProfile: {
        osDisk: { osType: "Linux", createOption: "Attach", managedDisk: { id: osDisk } },
        dataDisks: dataDisks.map((disk, lun) => ({ lun, createOption: "Attach", managedDisk: { id: disk } })),
      },
      ...more,
    },
    POLL,
  );
}

describe("virtual machines, through the official client", () => {
  it("are listed in a subscription and in a group, and read with their instance view", async () => {
    const names = async (list: AsyncIterable<{ name?: string }>) => {
      const found: string[] = [];
      for await (const { name } of list) found.push(name ?? "");
      return found;
    };
    expect(await names(compute.virtualMachines.listAll())).toEqual(["web-01", "db-01", "web-north-01"]);
    expect(await names(compute.virtualMachines.list("DEMO"))).toEqual(["web-01", "db-01"]);
    const vm = await compute.virtualMachines.get("demo", "db-01", { expand: "instanceView" });
    expect(vm).toMatchObject({
      id: id("virtualMachines", "db-01"),
      type: "Microsoft.Compute/virtualMachines",
      location: LOCATION,
      provisioningState: "Succeeded",
    });
    expect(vm.storageProfile?.dataDisks).toHaveLength(3);
    expect(vm.instanceView?.statuses?.map(({ code }) => code)).toEqual([
      "ProvisioningState/succeeded",
      "PowerState/running",
    ]);
    expect(vm.instanceView?.vmAgent).toMatchObject({
      vmAgentVersion: "2.7.41491.1176",
      statuses: [{ displayStatus: "Ready" }],
    });
    await azure.control("PATCH", "virtual-machine", { id: vm.id, agent: "stale", agentVersion: "2.6.1198.100" });
    const view = await compute.virtualMachines.instanceView("demo", "db-01");
    expect(view.vmAgent).toMatchObject({ vmAgentVersion: "2.6.1198.100", statuses: [{ displayStatus: "Not Ready" }] });
  });

  it("are made of restored disks, hold them, and let them go when deleted", async () => {
    const [os, data] = [await emptyDisk("made-os"), await emptyDisk("made-data")];
    const vm = await machine("made", os, [data]);
    expect(vm).toMatchObject({ provisioningState: "Succeeded", storageProfile: { osDisk: { name: "made-os" } } });
    expect(await compute.disks.get("demo", "made-data")).toMatchObject({ diskState: "Attached", managedBy: vm.id });
    await expect(machine("thief", os)).rejects.toMatchObject({ statusCode: 409 });
    await compute.virtualMachines.deallocate("demo", "made", POLL);
    expect((await compute.disks.get("demo", "made-os")).diskState).toBe("Reserved");
    await compute.virtualMachines.delete("demo", "made", POLL);
    expect(await compute.disks.get("demo", "made-os")).toMatchObject({ diskState: "Unattached" });
    await expect(compute.virtualMachines.get("demo", "made")).rejects.toMatchObject({
      code: "ResourceNotFound",
      statusCode: 404,
    });
  });

  it("swap their OS disk only while deallocated, and data disks at any time", async () => {
    const [os, other, data] = [await emptyDisk("swap-os"), await emptyDisk("swap-other"), await emptyDisk("swap-data")];
    await machine("swap", os);
    const swap = () =>
      compute.virtualMachines.update(
        "demo",
        "swap",
        { storageProfile: { osDisk: { managedDisk: { id: other } } } as never },
        POLL,
      );
    await expect(swap()).rejects.toMatchObject({ code: "OperationNotAllowed" });
    await compute.virtualMachines.deallocate("demo", "swap", POLL);
    expect((await swap()).storageProfile?.osDisk?.managedDisk?.id).toBe(other);
    expect((await compute.disks.get("demo", "swap-os")).managedBy).toBeUndefined();
    await compute.virtualMachines.start("demo", "swap", POLL);
    const attached = await compute.virtualMachines.attachDetachDataDisks(
      "demo",
      "swap",
      { dataDisksToAttach: [{ diskId: data, lun: 5 }] },
      POLL,
    );
    expect(attached.dataDisks?.map(({ lun, managedDisk }) => [lun, managedDisk?.id])).toEqual([[5, data]]);
    await compute.virtualMachines.attachDetachDataDisks(
      "demo",
      "swap",
      { dataDisksToDetach: [{ diskId: data }] },
      POLL,
    );
    expect((await compute.disks.get("demo", "swap-data")).diskState).toBe("Unattached");
  });

  it("do not take a disk that someone reads, that is elsewhere, or that does not exist", async () => {
    const os = await emptyDisk("shared-os");
    await compute.disks.grantAccess("demo", "shared-os", { access: "Read", durationInSeconds: 600 }, POLL);
    await expect(machine("shared", os)).rejects.toMatchObject({
      message: expect.stringContaining("active shared access signature"),
    });
    await compute.disks.revokeAccess("demo", "shared-os", POLL);
    await expect(
      machine("doubled", await emptyDisk("doubled"), [`${GROUP}/providers/Microsoft.Compute/disks/doubled`]),
    ).rejects.toMatchObject({ code: "InvalidParameter" });
    await expect(machine("missing", id("disks", "missing"))).rejects.toMatchObject({ statusCode: 404 });
    await expect(machine("named", os, [], { osProfile: { computerName: "x" } })).rejects.toMatchObject({
      code: "InvalidParameter",
    });
    await expect(
      machine("twice", os, [], {
        networkProfile: { networkInterfaces: [{ id: `${GROUP}/providers/Microsoft.Network/networkInterfaces/none` }] },
      }),
    ).rejects.toMatchObject({ statusCode: 404 });
    expect((await compute.disks.get("demo", "shared-os")).managedBy).toBeUndefined();
  });

  it("do not start while someone reads a disk of theirs", async () => {
    await compute.virtualMachines.deallocate("demo", "web-01", POLL);
    await compute.disks.grantAccess("demo", "web-01_OsDisk", { access: "Read", durationInSeconds: 600 }, POLL);
    expect((await compute.disks.get("demo", "web-01_OsDisk")).diskState).toBe("ActiveSASFrozen");
    await expect(compute.virtualMachines.start("demo", "web-01", POLL)).rejects.toMatchObject({
      code: "OperationNotAllowed",
    });
    await compute.disks.revokeAccess("demo", "web-01_OsDisk", POLL);
    await compute.virtualMachines.start("demo", "web-01", POLL);
  });

  it("can fail to be provisioned after they were accepted", async () => {
    await expect(
      machine("unlucky", await emptyDisk("unlucky-os"), [], { tags: { "simulated-provisioning": "fails" } }),
    ).rejects.toMatchObject({
      message: expect.stringContaining("AllocationFailed"),
    });
    expect((await compute.virtualMachines.get("demo", "unlucky")).provisioningState).toBe("Failed");
  });

  it("take extensions and commands while they run and their agent answers", async () => {
    const extension = {
      location: LOCATION,
      publisher: "Microsoft.Azure.RecoveryServices",
      typePropertiesType: "VMSnapshotLinux",
      typeHandlerVersion: "1.0",
    };
    const install = (name: string) =>
      compute.virtualMachineExtensions.createOrUpdate("demo", "web-01", name, extension, POLL);
    expect(await install("VMSnapshotLinux")).toMatchObject({ provisioningState: "Succeeded" });
    expect((await compute.virtualMachineExtensions.list("demo", "web-01")).value?.map(({ name }) => name)).toEqual([
      "VMSnapshotLinux",
    ]);
    const output = await compute.virtualMachines.runCommand(
      "demo",
      "web-01",
      { commandId: "RunShellScript", script: ["ls"] },
      POLL,
    );
    expect(output.value?.[0]?.code).toBe("ComponentStatus/StdOut/succeeded");
    await azure.control("PATCH", "virtual-machine", { id: id("virtualMachines", "web-01"), agent: "absent" });
    await expect(install("Other")).rejects.toMatchObject({
      message: expect.stringContaining("VMAgentStatusCommunicationError"),
    });
    await compute.virtualMachines.powerOff("demo", "web-01", POLL);
    await expect(install("Third")).rejects.toMatchObject({ code: "OperationNotAllowed" });
    await compute.virtualMachines.start("demo", "web-01", POLL);
    await compute.virtualMachineExtensions.delete("demo", "web-01", "VMSnapshotLinux", POLL);
  });
});
