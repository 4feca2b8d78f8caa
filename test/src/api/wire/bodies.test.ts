// Bodies that clients send, as they were seen on the wire, and what they mean.

import { describe, expect, it } from "vitest";
import { parseBody } from "../../../../src/api/request-body.ts";
import { protectedItemBody } from "../../../../src/api/wire/protected-item.ts";
import { restoreBody, validationBody } from "../../../../src/api/wire/restore-request.ts";
import { renderDuration } from "../../../../src/api/wire/text.ts";
import { storageConfigBody, vaultBody, vaultConfigBody, vaultPatchBody } from "../../../../src/api/wire/vault.ts";

const MACHINE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/m";
const POLICY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v/backupPolicies/p";
const head = { protectedItemType: "Microsoft.Compute/virtualMachines", sourceResourceId: MACHINE };
const itemWish = (properties: object) => parseBody(protectedItemBody, { properties: { ...head, ...properties } });
const disks = (diskExclusionProperties: unknown) => ({
  policyId: POLICY,
  extendedProperties: { diskExclusionProperties },
});

describe("a PUT of a protected item means", () => {
  it.each([
    ["protecting", { policyId: POLICY }, { kind: "protect", machineId: MACHINE, policyId: POLICY }],
    [
      "resuming",
      { policyId: POLICY, protectionState: "ProtectionStopped" },
      { kind: "protect", machineId: MACHINE, policyId: POLICY },
    ],
    ["stopping", { policyId: "", protectionState: "ProtectionStopped" }, { kind: "stop" }],
    ["stopping", { protectionState: "protectionstopped" }, { kind: "stop" }],
    ["suspending", { protectionState: "BackupsSuspended" }, { kind: "suspend" }],
    ["undeleting", { policyId: "", protectionState: "ProtectionStopped", isRehydrate: true }, { kind: "undelete" }],
  ])("%s with %j", (_what, properties, wish) => {
    expect(itemWish(properties)).toEqual(wish);
  });

  it.each([
    ["only some disks", { diskLunList: [2, 1, 2], isInclusionList: true }, { kind: "only", luns: [-1, 1, 2] }],
    ["the disk of the system alone", { diskLunList: [], isInclusionList: true }, { kind: "only", luns: [-1] }],
    ["all but some disks", { diskLunList: [4], isInclusionList: false }, { kind: "except", luns: [4] }],
    ["all disks", { diskLunList: [], isInclusionList: false }, { kind: "all", luns: [] }],
    ["all disks again", null, { kind: "all", luns: [] }],
  ])("protecting %s", (_what, list, choice) => {
    expect(itemWish(disks(list))).toMatchObject({ kind: "protect", disks: choice });
  });

  it("the disks that were chosen before, when it is silent about them", () => {
    expect(itemWish({ policyId: POLICY })).not.toHaveProperty("disks");
  });

  it.each([
    [{}, "properties.policyId"],
    [{ policyId: POLICY, sourceResourceId: "" }, "properties.sourceResourceId"],
    [{ policyId: POLICY, protectedItemType: "AzureFileShareProtectedItem" }, "properties.protectedItemType"],
    [disks({ diskLunList: [64], isInclusionList: true }), "diskLunList.0"],
    [{ policyId: `${POLICY}\u0007` }, "properties.policyId"],
  ])("nothing with %j", (properties, place) => {
    expect(() => itemWish(properties)).toThrow(expect.objectContaining({ message: expect.stringContaining(place) }));
  });
});

describe("a vault's body", () => {
  it("of az is understood, and what means nothing here is kept", () => {
    const monitoringSettings = { classicAlertSettings: { alertsForCriticalOperations: "Enabled" } };
    const body = {
      location: "westeurope",
      sku: { name: "Standard" },
      properties: {
        publicNetworkAccess: "Enabled",
        monitoringSettings,
        securitySettings: { immutabilitySettings: { state: "unlocked" } },
      },
    };
    expect(parseBody(vaultBody, body)).toEqual({
      location: "westeurope",
      immutability: "Unlocked",
      settings: { publicNetworkAccess: "Enabled", monitoringSettings },
    });
  });

  it("without a location is refused, and a patch is not", () => {
    expect(() => parseBody(vaultBody, { sku: { name: "RS0" } })).toThrow("location");
    expect(parseBody(vaultPatchBody, { tags: { a: "b" } })).toEqual({ tags: { a: "b" } });
  });

  it("of its configurations changes what they show", () => {
    expect(parseBody(storageConfigBody, { properties: { storageModelType: "LocallyRedundant" } })).toEqual({
      redundancy: "LocallyRedundant",
    });
    const config = { enhancedSecurityState: "Disabled", softDeleteFeatureState: "AlwaysOn" };
    expect(parseBody(vaultConfigBody, { properties: config })).toEqual({
      softDelete: { state: "AlwaysON", enhancedState: "Disabled" },
    });
  });
});

describe("a restore request", () => {
  const request = {
    objectType: "IaasVMRestoreRequest",
    recoveryPointId: "160718578227609",
    recoveryType: "RestoreDisks",
    sourceResourceId: MACHINE,
    storageAccountId: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/sa",
    targetResourceGroupId: "/subscriptions/s/resourceGroups/target",
    region: "westeurope",
    createNewCloudService: true,
    originalStorageAccountOption: false,
    encryptionDetails: { encryptionEnabled: false },
    virtualNetworkId: "",
  };

  it("of az is understood, and cleared fields are absent", () => {
    expect(parseBody(restoreBody, { properties: request })).toEqual({
      recoveryType: "RestoreDisks",
      sourceResourceId: MACHINE,
      storageAccountId: request.storageAccountId,
      targetResourceGroupId: request.targetResourceGroupId,
      region: "westeurope",
    });
  });

  it("tells no list of disks from an empty one", () => {
    expect(parseBody(restoreBody, { properties: { ...request, restoreDiskLunList: [] } }).restoreDiskLunList).toEqual(
      [],
    );
    expect(parseBody(restoreBody, { properties: request }).restoreDiskLunList).toBeUndefined();
  });

  it("may have its account moved to where identities are used", () => {
    const { storageAccountId: _, ...rest } = request;
    const moved = { ...rest, identityBasedRestoreDetails: { targetStorageAccountId: request.storageAccountId } };
    expect(parseBody(restoreBody, { properties: moved }).storageAccountId).toBe(request.storageAccountId);
  });

  it("may be validated, wrapped or not", () => {
    const inner = { objectType: "ValidateIaasVMRestoreOperationRequest", restoreRequest: request };
    const wish = parseBody(restoreBody, { properties: request });
    expect(parseBody(validationBody, inner)).toEqual({ wish, pointId: request.recoveryPointId });
    expect(parseBody(validationBody, { id: "/x", properties: inner })).toEqual({
      wish,
      pointId: request.recoveryPointId,
    });
  });
});

describe("a duration", () => {
  it.each([
    [0, "PT0S"],
    [584_017, "PT9M44.017S"],
    [3_600_000, "PT1H0S"],
    [90_061_000, "PT25H1M1S"],
    [-5, "PT0S"],
  ])("of %i ms is %s", (ms, text) => {
    expect(renderDuration(ms)).toBe(text);
  });
});
