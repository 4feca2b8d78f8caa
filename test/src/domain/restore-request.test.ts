import { describe, expect, it } from "vitest";
import {
  decideRestore,
  OS_DISK_LUN,
  type RestoreFacts,
  type RestoreRequest,
} from "../../../src/domain/restore-request.ts";

describe("a restore", () => {
  const VM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web";
  const disks = [
    { lun: OS_DISK_LUN, name: "os" },
    { lun: 0, name: "data0" },
    { lun: 3, name: "data3" },
  ];
  const FACTS: RestoreFacts = {
    region: "northeurope",
    disks,
    original: { id: VM.toUpperCase(), isDeallocated: true, luns: [0, 3] },
    targetExists: false,
  };
  const ask = (change: Partial<RestoreRequest>, facts: Partial<RestoreFacts> = {}) =>
    decideRestore({ recoveryType: "RestoreDisks", sourceResourceId: VM, ...change }, { ...FACTS, ...facts });
  const names = (change: Partial<RestoreRequest>) => {
    const decision = ask({ targetResourceGroupId: "/g", ...change });
    return decision.verdict === "possible" ? decision.plan.disks.map(({ name }) => name) : decision.conflicts;
  };
  const refused = (change: Partial<RestoreRequest>, facts: Partial<RestoreFacts> = {}) => {
    const decision = ask(change, facts);
    return decision.verdict === "refused" ? decision.conflicts.map(({ code, field }) => `${code} ${field}`) : decision;
  };
  const newMachine = {
    recoveryType: "AlternateLocation" as const,
    targetVirtualMachineId: `${VM}2`,
    targetResourceGroupId: "/g",
    virtualNetworkId: "/n",
    subnetId: "/n/s",
  };

  it("without a list takes all disks, with an empty one that of the operating system, else those and that", () => {
    expect(names({})).toEqual(["os", "data0", "data3"]);
    expect(names({ restoreDiskLunList: [] })).toEqual(["os"]);
    expect(names({ restoreDiskLunList: [3] })).toEqual(["os", "data3"]);
    expect(names({ restoreDiskLunList: [OS_DISK_LUN, 0] })).toEqual(["os", "data0"]);
  });

  it("of disks makes managed disks in a group, and VHDs in the account where no group is named", () => {
    const target = (change: Partial<RestoreRequest>) => {
      const decision = ask({ storageAccountId: "/a", ...change });
      return decision.verdict === "possible" && decision.plan.target;
    };
    expect(target({ targetResourceGroupId: "/g" })).toEqual({ kind: "disks", resourceGroupId: "/g" });
    expect(target({})).toEqual({ kind: "vhds", storageAccountId: "/a" });
  });

  it("that does not say where to names what is missing", () => {
    expect(refused({})).toEqual(["HoldfastRestoreTargetIncomplete storageAccountId"]);
    expect(refused({ recoveryType: "AlternateLocation", targetVirtualMachineId: "/v", subnetId: "/s" })).toEqual([
      "HoldfastRestoreTargetIncomplete targetResourceGroupId",
      "HoldfastRestoreTargetIncomplete virtualNetworkId",
    ]);
  });

  it("to a new machine is refused where there is one", () => {
    expect(ask(newMachine).verdict).toBe("possible");
    expect(refused(newMachine, { targetExists: true })).toEqual(["HoldfastTargetExists targetVirtualMachineId"]);
  });

  it("to the machine itself needs it to be there and deallocated, with a disk at each LUN", () => {
    const original = { recoveryType: "OriginalLocation" as const };
    expect(ask(original)).toMatchObject({ verdict: "possible", plan: { target: { kind: "original", vmId: VM } } });
    expect(refused(original, { original: undefined })).toEqual(["BCMV2VMNotFound sourceResourceId"]);
    expect(refused(original, { original: { id: VM, isDeallocated: false, luns: [0] } })).toEqual([
      "UserErrorVmNotShutDown sourceResourceId",
      "HoldfastLunNotAttached restoreDiskLunList",
    ]);
    expect(
      ask({ ...original, restoreDiskLunList: [] }, { original: { id: VM, isDeallocated: true, luns: [] } }).verdict,
    ).toBe("possible");
  });

  it("names all conflicts at once: another region, and disks that the point has not", () => {
    expect(refused({ targetResourceGroupId: "/g", region: "westus", restoreDiskLunList: [0, 7] })).toEqual([
      "HoldfastOtherRegion region",
      "HoldfastLunNotInPoint restoreDiskLunList",
    ]);
    expect(ask({ targetResourceGroupId: "/g", region: "North Europe" }).verdict).toBe("possible");
  });
});
