// Each list applies each key that the clients of Azure Backup may filter it by: a filter that is ignored is worse than one
// that is refused, for what is listed then gets deleted by a script.

import { beforeEach, describe, expect, it } from "vitest";
import { type ApiUnderTest, apiUnderTest } from "../../support/api-under-test.ts";
import { finishBackup, machineNamed, REGION, SUBSCRIPTION } from "../../support/service-in-memory.ts";

const VAULT = `/subscriptions/${SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v1`;
const MACHINE = machineNamed("web-1");
const CONTAINER = "iaasvmcontainer;iaasvmcontainerv2;Shop;web-1";
const ITEM = `backupFabrics/Azure/protectionContainers/${CONTAINER}/protectedItems/vm;iaasvmcontainerv2;Shop;web-1`;

let test: ApiUnderTest;

/** A machine that is protected and backed up, one that is registered by itself, and one that is neither. */
beforeEach(async () => {
  test = await apiUnderTest();
  const registered = machineNamed("web-2");
  test.service.machines.push(MACHINE, registered, machineNamed("web-3"));
  const put = async (path: string, properties: object) => {
    const { status, body } = await test.send("PUT", path, { location: REGION, properties });
    expect(status, JSON.stringify(body)).toBeLessThan(300);
  };
  await put(VAULT, {});
  const typed = { protectedItemType: "Microsoft.Compute/virtualMachines", sourceResourceId: MACHINE.id };
  await put(`${VAULT}/${ITEM}`, { ...typed, policyId: `${VAULT}/backupPolicies/DefaultPolicy` });
  await put(`${VAULT}/backupFabrics/Azure/protectionContainers/${CONTAINER.replace("web-1", "web-2")}`, {
    sourceResourceId: registered.id,
  });
  await test.send("POST", `${VAULT}/${ITEM}/backup`, { properties: { objectType: "IaasVMBackupRequest" } });
  await finishBackup(test.service);
});

async function listed(list: string, filter: string): Promise<{ readonly currentValue?: number }[]> {
  const { status, body } = await test.send("GET", `${VAULT}/${list}?$filter=${encodeURIComponent(filter)}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body.value;
}

const IAAS = "backupManagementType eq 'AzureIaasVM'";
const SQL = "backupManagementType eq 'AzureWorkload'";

describe("A list shows", () => {
  it.each([
    [`${ITEM}/recoveryPoints`, "moveReadyRPOnly eq 'False'", 1],
    [`${ITEM}/recoveryPoints`, "moveReadyRPOnly eq 'True'", 0],
    [`${ITEM}/recoveryPoints`, "restorePointQueryType eq 'All'", 1],
    [`${ITEM}/recoveryPoints`, "restorePointQueryType eq 'FullAndDifferential' and extendedInfo eq 'True'", 1],
    [`${ITEM}/recoveryPoints`, "restorePointQueryType eq 'Log'", 0],
    ["backupProtectionContainers", `${IAAS} and containerType eq 'Microsoft.Compute/virtualMachines'`, 2],
    ["backupProtectionContainers", `${IAAS} and containerType eq 'iaasVMContainer'`, 2],
    ["backupProtectionContainers", `${IAAS} and containerType eq 'Microsoft.ClassicCompute/virtualMachines'`, 0],
    ["backupProtectionContainers", `${IAAS} and containerType eq 'StorageContainer'`, 0],
    ["backupProtectionContainers", `${IAAS} and fabricName eq 'Azure' and status eq 'Registered'`, 2],
    ["backupProtectionContainers", `${IAAS} and fabricName eq 'Other'`, 0],
    ["backupProtectionContainers", `${IAAS} and backupEngineName eq 'dpm-1'`, 0],
    ["backupProtectionContainers", SQL, 0],
    ["backupPolicies", `${IAAS} and workloadType eq 'VM' and fabricName eq 'azure'`, 2],
    ["backupPolicies", `${IAAS} and fabricName eq 'Other'`, 0],
    ["backupPolicies", SQL, 0],
    ["backupProtectedItems", `${IAAS} and itemType eq 'VM' and policyName eq 'DefaultPolicy'`, 1],
    ["backupProtectedItems", "containerName eq 'iaasvmcontainerv2;shop;web-1'", 1],
    ["backupProtectedItems", "containerName eq 'iaasvmcontainerv2;shop;web-2'", 0],
    ["backupProtectedItems", "backupSetName eq 'nightly'", 0],
    ["backupProtectedItems", "backupEngineName eq 'dpm-1'", 0],
    ["backupProtectableItems", `${IAAS} and status eq 'NotProtected'`, 1],
    ["backupProtectableItems", "containerName eq 'IaasVMContainer;iaasvmcontainerv2;Shop;web-3'", 1],
    ["backupProtectableItems", "containerName eq 'IaasVMContainer;iaasvmcontainerv2;Shop;web-9'", 0],
    ["backupUsageSummaries", SQL, 0],
    ["backupUsageSummaries", "type eq 'Invalid'", 0],
  ])("of %s, with %s, %d", async (list, filter, count) => {
    expect(await listed(list, filter)).toHaveLength(count);
  });
});

describe("A summary counts", () => {
  it.each([
    ["", 1],
    [IAAS, 1],
    [`${IAAS} and type eq 'BackupProtectedItemCountSummary'`, 1],
    ["type eq 'BackupProtectionContainerCountSummary'", 2],
  ])("with %o %d", async (filter, count) => {
    expect((await listed("backupUsageSummaries", filter)).map(({ currentValue }) => currentValue)).toEqual([count]);
  });
});
