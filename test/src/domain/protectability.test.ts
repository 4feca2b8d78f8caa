import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../src/domain/limits.ts";
import { type ProtectableFacts, refusalToProtect } from "../../../src/domain/protectability.ts";

describe("a machine cannot be protected", () => {
  const FACTS: ProtectableFacts = {
    vaultId: "/v/1",
    vaultRegion: "North Europe",
    vaultSubscription: "S1",
    itemsInVault: 3,
    vmName: "web",
    vm: { region: "northeurope", subscription: "s1", disks: [] },
    claim: undefined,
  };
  const disk = { name: "d", sizeBytes: 1, networkAccess: "AllowAll" as const, isExcluded: false };
  const code = (change: Partial<ProtectableFacts>) => refusalToProtect({ ...FACTS, ...change })?.code;
  const withDisk = (change: Partial<typeof disk> | { networkAccess: "DenyAll" }) => ({
    vm: { region: "northeurope", subscription: "s1", disks: [{ ...disk, ...change }] },
  });

  it("for reasons in the order in which one finds out", () => {
    expect(code({})).toBeUndefined();
    const elsewhere = { vaultId: "/v/2", isSoftDeleted: true };
    const remote = { region: "westus", subscription: "s1", disks: [] };
    expect(code({ vm: undefined, claim: elsewhere })).toBe("BCMV2VMNotFound");
    expect(code({ vm: remote, claim: elsewhere })).toBe("BMSUserErrorInvalidConfigureProtectionRequest");
    expect(code({ claim: elsewhere, ...withDisk({ networkAccess: "DenyAll" }) })).toBe(
      "HoldfastProtectedInAnotherVault",
    );
    expect(code({ claim: { vaultId: "/V/1", isSoftDeleted: true } })).toBe("HoldfastItemSoftDeleted");
    expect(code({ claim: { vaultId: "/v/1", isSoftDeleted: false } })).toBe("HoldfastAlreadyProtected");
  });

  it("with a disk too large or shut off, unless the disk is excluded", () => {
    expect(code(withDisk({ sizeBytes: LIMITS.diskBytes }))).toBeUndefined();
    expect(code(withDisk({ sizeBytes: LIMITS.diskBytes + 1 }))).toBe("UserErrorUnsupportedDiskSize");
    expect(code(withDisk({ networkAccess: "DenyAll" }))).toBe("HoldfastDiskNetworkAccess");
    expect(code(withDisk({ sizeBytes: LIMITS.diskBytes + 1, isExcluded: true }))).toBeUndefined();
  });

  it("in another subscription, or in a vault that is full", () => {
    expect(code({ vm: { region: "northeurope", subscription: "s2", disks: [] } })).toBe(
      "BMSUserErrorInvalidConfigureProtectionRequest",
    );
    expect(code({ itemsInVault: LIMITS.itemsPerVault })).toBe("HoldfastVaultFull");
  });
});
