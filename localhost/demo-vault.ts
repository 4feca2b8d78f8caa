// The vault that a newcomer finds: machines of the estate, protected by a policy that runs every few minutes. Made through the
// public API like any client would, and at each start again: what is there already is left as it is.

import { ArmClient, type ArmPlace } from "./arm-client.ts";

export const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
export const DEMO_GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/demo`;
export const DEMO_VAULT = `${DEMO_GROUP}/providers/Microsoft.RecoveryServices/vaults/demo`;
export const BACKUP_API = "2023-06-01";

const GROUPS_API = "2021-04-01";
const COMPUTE_API = "2024-07-01";
const REGION = "westeurope";
const POLICY = `${DEMO_VAULT}/backupPolicies/EveryFewMinutes`;
const MACHINES = ["web-01", "db-01", "files-01", "idle-01"];
/** A day of snapshots fits into one collection then, which holds 500. */
const EVERY_MINUTES = 5;

const ONCE_A_DAY = "2024-01-01T02:00:00Z";
const POLICY_PROPERTIES = {
  backupManagementType: "AzureIaasVM",
  policyType: "V1",
  timeZone: "UTC",
  instantRpRetentionRangeInDays: 1,
  schedulePolicy: {
    schedulePolicyType: "SimpleSchedulePolicy",
    scheduleRunFrequency: "Daily",
    scheduleRunTimes: [ONCE_A_DAY],
  },
  retentionPolicy: {
    retentionPolicyType: "LongTermRetentionPolicy",
    dailySchedule: {
      retentionTimes: [ONCE_A_DAY],
      retentionDuration: { count: 7, durationType: "Days" },
    },
  },
};

export const itemPath = (machine: string): string =>
  `${DEMO_VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;demo;${machine}` +
  `/protectedItems/VM;iaasvmcontainerv2;demo;${machine}`;

export const machineId = (machine: string): string =>
  `${DEMO_GROUP}/providers/Microsoft.Compute/virtualMachines/${machine}`;

export interface DemoVault {
  readonly protectedMachines: readonly string[];
  /** Those that were not protected before; their first backups have been started. */
  readonly newMachines: readonly string[];
}

/** Undefined when the estate has no group `demo`. */
export async function setUpDemoVault(place: ArmPlace, wanted = MACHINES): Promise<DemoVault | undefined> {
  const arm = new ArmClient(place, "contributor");
  if ((await arm.find(DEMO_GROUP, GROUPS_API)) === undefined) return undefined;
  await makeVault(arm);
  await makePolicy(arm);
  const protectedMachines: string[] = [];
  const newMachines: string[] = [];
  for (const machine of wanted) {
    if ((await arm.find(machineId(machine), COMPUTE_API)) === undefined) continue;
    protectedMachines.push(machine);
    if ((await arm.find(itemPath(machine), BACKUP_API)) !== undefined) continue;
    await protect(arm, machine);
    newMachines.push(machine);
  }
  return { protectedMachines, newMachines };
}

async function makeVault(arm: ArmClient): Promise<void> {
  if ((await arm.find(DEMO_VAULT, BACKUP_API)) !== undefined) return;
  const vault = { location: REGION, sku: { name: "RS0", tier: "Standard" }, properties: {} };
  await arm.request("PUT", DEMO_VAULT, BACKUP_API, vault);
}

/** The interval is a resource of its own, which only Holdfast has: other clients see a policy that runs once a day. */
async function makePolicy(arm: ArmClient): Promise<void> {
  if ((await arm.find(POLICY, BACKUP_API)) === undefined) {
    await arm.request("PUT", POLICY, BACKUP_API, { properties: POLICY_PROPERTIES });
  }
  const interval = await arm.find(`${POLICY}/everyMinutes`, BACKUP_API);
  if (typeof interval?.properties?.everyMinutes === "number") return;
  const properties = { everyMinutes: EVERY_MINUTES };
  await arm.request("PUT", `${POLICY}/everyMinutes`, BACKUP_API, { properties });
}

async function protect(arm: ArmClient, machine: string): Promise<void> {
  const properties = {
    protectedItemType: "Microsoft.Compute/virtualMachines",
    sourceResourceId: machineId(machine),
    policyId: POLICY,
  };
  await arm.complete("PUT", itemPath(machine), BACKUP_API, { properties });
  // The first scheduled run may be minutes away.
  await startBackup(arm, machine);
}

/** Answers the job's id. */
export async function startBackup(arm: ArmClient, machine: string): Promise<string> {
  const request = { properties: { objectType: "IaasVMBackupRequest" } };
  return (await arm.complete("POST", `${itemPath(machine)}/backup`, BACKUP_API, request)).jobId;
}
