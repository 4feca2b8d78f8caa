import { describe, expect, it } from "vitest";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { backUpNow } from "../../../src/control/backups.ts";
import { parseItemChange } from "../../../src/control/item-change.ts";
import { runItemJob } from "../../../src/control/item-jobs.ts";
import { countPoints, getItem, listItems } from "../../../src/control/items.ts";
import { getJob } from "../../../src/control/jobs.ts";
import { claimPhase, freePhase } from "../../../src/control/phases.ts";
import { putPolicy } from "../../../src/control/policies.ts";
import {
  deleteItem,
  type ProtectRequest,
  protectMachine,
  stopProtection,
  suspendBackups,
  undeleteItem,
} from "../../../src/control/protection.ts";
import { purgeDueItems } from "../../../src/control/purge.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../../../src/control/rows/item-row.ts";
import { changeRow } from "../../../src/control/rows/row-kind.ts";
import { updateVault } from "../../../src/control/vaults.ts";
import { addPoint } from "../../support/control-points.ts";
import { ControlWorld, GROUP, ITEM, VAULT } from "../../support/control-world.ts";
import { itemNameOf, machineOf, SUBSCRIPTION, vmIdOf } from "../../support/memory-machines.ts";

const REF = { vault: VAULT, item: ITEM };
const VAULT_REF = { subscriptionId: SUBSCRIPTION, resourceGroup: GROUP, name: "vault-1" };
const DAY_MS = 24 * 3_600_000;

function protect(world: ControlWorld, more: Partial<ProtectRequest> = {}) {
  return protectMachine(world.deps, { ...REF, machineId: vmIdOf("web-1"), policy: "DefaultPolicy", ...more });
}

async function protectedWorld(): Promise<ControlWorld> {
  const world = await ControlWorld.open("web-1");
  await protect(world);
  await world.runShortJobs();
  world.advance(60_000);
  return world;
}

const itemOf = (world: ControlWorld) => getItem(world.deps, REF);
const setItem = (world: ControlWorld, change: Partial<ItemBody>) =>
  changeRow(world.tables, ITEM_ROWS, itemPlace(VAULT, ITEM), (item) => ({ ...item, ...change }));

describe("Protecting a machine", () => {
  it("makes an item that waits for its first backup, by a job that tells when", async () => {
    const world = await ControlWorld.open("web-1");
    const { jobId } = await protect(world, { item: ITEM.toLowerCase(), policy: "defaultpolicy" });
    expect(await itemOf(world)).toMatchObject({ name: ITEM, protectedAt: null, changingJob: jobId });
    const [job] = await world.runShortJobs();
    expect(job).toMatchObject({ id: jobId, operation: "ConfigureBackup", status: "Completed", item: ITEM });
    expect(job?.properties).toMatchObject({ "VM Name": "web-1", "Policy Name": "DefaultPolicy" });
    expect(await itemOf(world)).toMatchObject({
      ...{ state: "IRPending", policy: "DefaultPolicy", machineId: vmIdOf("web-1"), disks: { kind: "all", luns: [] } },
      ...{ protectedAt: world.now.toISOString(), changingJob: null, extensionNote: null },
      containerName: "IaasVMContainer;iaasvmcontainerv2;apps;web-1",
    });
    expect(world.archives.prepared.size).toBe(1);
  });

  it("says what the extension waits for", async () => {
    const world = await ControlWorld.open();
    world.machines.add(machineOf("web-1", { power: "deallocated", agent: { state: "not-ready", version: "" } }));
    await protect(world);
    await world.runShortJobs();
    expect((await itemOf(world)).extensionNote).toMatch(/not running/);
  });

  it("is refused with the first reason that holds", async () => {
    const world = await ControlWorld.open("web-1");
    await world.addVault("vault-2");
    const elsewhere = vmIdOf("web-1", "apps", "44444444-4444-4555-8666-777777777777");
    world.machines.add(
      machineOf("far", { location: "northeurope" }),
      machineOf("web-1", { id: elsewhere }),
      machineOf("shut", { disks: machineOf("shut").disks.map((disk) => ({ ...disk, isReadable: disk.lun < 0 })) }),
    );
    const of = (name: string, more: Partial<ProtectRequest> = {}) =>
      protect(world, { item: itemNameOf(name), machineId: vmIdOf(name), ...more });
    await expect(of("gone")).rejects.toMatchObject({ kind: "not-found", code: "BCMV2VMNotFound" });
    await expect(of("far")).rejects.toThrow(/northeurope.*westeurope/);
    await expect(of("web-1", { machineId: elsewhere })).rejects.toThrow(/another subscription/);
    await expect(of("shut")).rejects.toMatchObject({ kind: "denied", code: "HoldfastDiskNetworkAccess" });
    await of("shut", { disks: { kind: "except", luns: [0] } });
    const unknown = { kind: "not-found", code: "BMSUserErrorPolicyNotFound" };
    await expect(of("web-1", { policy: "Nope" })).rejects.toMatchObject(unknown);
    const mismatch = { code: "BMSUserErrorInvalidConfigureProtectionRequest" };
    await expect(of("web-1", { machineId: vmIdOf("shut") })).rejects.toMatchObject(mismatch);
    await of("web-1", { vault: `${SUBSCRIPTION}/vault-2` });
    await expect(of("web-1")).rejects.toMatchObject({ kind: "conflict", code: "HoldfastProtectedInAnotherVault" });
    expect(
      (await listItems(world.deps, { vault: VAULT, limit: 10 })).values.map(({ machineName }) => machineName),
    ).toEqual(["shut"]);
    expect(world.tables.bodiesOf("jobs")).toHaveLength(2);
  });

  it("changes policy and disks of what is protected, and keeps the disks when none are named", async () => {
    const world = await protectedWorld();
    await protect(world, { policy: "EnhancedPolicy", disks: { kind: "only", luns: [-1] } });
    await world.runShortJobs();
    expect(await itemOf(world)).toMatchObject({ policy: "EnhancedPolicy", disks: { kind: "only", luns: [-1] } });
    await protect(world);
    await world.runShortJobs();
    expect(await itemOf(world)).toMatchObject({
      ...{ policy: "DefaultPolicy", disks: { kind: "only", luns: [-1] }, state: "IRPending" },
      protectedAt: new Date(world.now.getTime() - 60_000).toISOString(),
    });
  });

  it("remembers the weekly rule of the policy it left", async () => {
    const world = await ControlWorld.open("web-1");
    const weekly = { weekdays: ["Sunday" as const], keepWeeks: 12 };
    const time = { hour: 2, minute: 0 };
    await putPolicy(world.deps, {
      ...{ vault: VAULT, policy: "Weekly" },
      written: {
        ...{ type: "V1", timeZone: "UTC", schedule: { frequency: "Weekly", days: ["Sunday"], time } },
        ...{ retention: { weekly }, instantRestoreDays: 5, snapshotGroup: { prefix: "", suffix: "" } },
      },
    });
    await protect(world, { policy: "Weekly" });
    await world.runShortJobs();
    await protect(world, { policy: "DefaultPolicy" });
    await world.runShortJobs();
    expect((await itemOf(world)).formerWeeklyRule).toEqual(weekly);
    await protect(world, { policy: "Weekly" });
    await world.runShortJobs();
    expect((await itemOf(world)).formerWeeklyRule).toBeNull();
  });

  it("takes one change at a time", async () => {
    const world = await protectedWorld();
    const { jobId } = await stopProtection(world.deps, REF);
    const busy = { kind: "conflict", code: "BMSUserErrorConflictingProtectionOperation" };
    for (const ask of [suspendBackups, deleteItem, stopProtection]) {
      await expect(ask(world.deps, REF)).rejects.toMatchObject(busy);
    }
    await expect(protect(world)).rejects.toMatchObject({ kind: "conflict" });
    expect((await itemOf(world)).changingJob).toBe(jobId);
    await world.runShortJobs();
    await suspendBackups(world.deps, REF);
  });
});

describe("The life of an item", () => {
  it("goes from protected to stopped, resumed, suspended and resumed", async () => {
    const world = await protectedWorld();
    await stopProtection(world.deps, REF);
    const [stop] = await world.runShortJobs();
    expect(stop?.operation).toBe("DisableBackup");
    expect(await itemOf(world)).toMatchObject({ state: "ProtectionStopped", policy: null });
    await protect(world);
    await world.runShortJobs();
    expect(await itemOf(world)).toMatchObject({ state: "IRPending", policy: "DefaultPolicy" });
    await setItem(world, { lastPointAt: world.now.toISOString(), state: "Protected" });
    await suspendBackups(world.deps, REF);
    await world.runShortJobs();
    expect(await itemOf(world)).toMatchObject({ state: "BackupsSuspended", policy: "DefaultPolicy" });
    await protect(world, { policy: "EnhancedPolicy" });
    await world.runShortJobs();
    expect(await itemOf(world)).toMatchObject({ state: "Protected", policy: "EnhancedPolicy" });
  });

  it("is soft-deleted for the days that the vault says then, undeleted, and refused otherwise", async () => {
    const world = await protectedWorld();
    await expect(undeleteItem(world.deps, REF)).rejects.toMatchObject({ code: "HoldfastItemStateForbids" });
    const deletedAt = world.now.toISOString();
    await deleteItem(world.deps, REF);
    const [job] = await world.runShortJobs();
    expect(job?.operation).toBe("DeleteBackupData");
    const purgeAt = new Date(world.now.getTime() + 14 * DAY_MS).toISOString();
    expect(await itemOf(world)).toMatchObject({ deletedAt, purgeAt, policy: null, state: "ProtectionStopped" });
    await updateVault(world.deps, VAULT_REF, { softDelete: { days: 60 } });
    world.advance(DAY_MS);
    await deleteItem(world.deps, REF);
    await world.runShortJobs();
    expect(await itemOf(world)).toMatchObject({ deletedAt, purgeAt });
    await expect(protect(world)).rejects.toMatchObject({ code: "HoldfastItemStateForbids" });
    await expect(stopProtection(world.deps, REF)).rejects.toMatchObject({ kind: "conflict" });
    await undeleteItem(world.deps, REF);
    await world.runShortJobs();
    expect(await itemOf(world)).toMatchObject({ deletedAt: null, purgeAt: null, state: "ProtectionStopped" });
    await protect(world);
  });

  it("keeps other vaults away until its data is gone", async () => {
    const world = await protectedWorld();
    await world.addVault("vault-2");
    const other = { vault: `${SUBSCRIPTION}/vault-2` };
    const claimed = { code: "HoldfastProtectedInAnotherVault" };
    await stopProtection(world.deps, REF);
    await world.runShortJobs();
    await expect(protect(world, other)).rejects.toMatchObject(claimed);
    await deleteItem(world.deps, REF);
    await world.runShortJobs();
    await expect(protect(world, other)).rejects.toMatchObject(claimed);
    world.advance(14 * DAY_MS - 1);
    expect(await purgeDueItems(world.deps, VAULT)).toBe(0);
    world.advance(1);
    expect(await purgeDueItems(world.deps, VAULT)).toBe(1);
    await protect(world, other);
  });

  it("cannot be deleted from an immutable vault, but stopped", async () => {
    const world = await protectedWorld();
    await updateVault(world.deps, VAULT_REF, { immutability: "Unlocked" });
    await expect(deleteItem(world.deps, REF)).rejects.toMatchObject({ kind: "denied", code: "HoldfastVaultImmutable" });
    await stopProtection(world.deps, REF);
  });
});

describe("Removing an item for good", () => {
  it("at once, where soft delete is off: points, their snapshots and copies, the item, and the claim", async () => {
    const world = await protectedWorld();
    await addPoint(world, "100000000000001", { inVault: true });
    await addPoint(world, "100000000000002", { inVault: false });
    expect(await countPoints(world.deps, REF)).toMatchObject({ count: 2 });
    await updateVault(world.deps, VAULT_REF, { softDelete: { state: "Disabled" } });
    await deleteItem(world.deps, REF);
    const [job] = await world.runShortJobs();
    expect(job).toMatchObject({ operation: "DeleteBackupData", status: "Completed" });
    for (const table of ["items", "points", "claims"]) expect(world.tables.bodiesOf(table)).toEqual([]);
    await protect(world);
  });

  it("waits for backups that run, and tells them to stop", async () => {
    const world = await protectedWorld();
    const { jobId } = await backUpNow(world.deps, REF);
    await claimPhase(world.deps, { ...REF, phase: "snapshot" }, jobId);
    await updateVault(world.deps, VAULT_REF, { softDelete: { state: "Disabled" } });
    const { jobId: job } = await deleteItem(world.deps, REF);
    expect(await runItemJob(world.deps, { vault: VAULT, job })).toEqual({ state: "pending" });
    expect((await getJob(world.deps, { vault: VAULT, job: jobId })).status).toBe("Cancelling");
    expect(await itemOf(world)).toMatchObject({ isPurging: true, changingJob: job });
    await freePhase(world.deps, { ...REF, phase: "snapshot" }, jobId);
    expect(await runItemJob(world.deps, { vault: VAULT, job })).toEqual({ state: "done" });
    await expect(itemOf(world)).rejects.toMatchObject({ kind: "not-found" });
  });

  it("is not undone once it has begun", async () => {
    const world = await protectedWorld();
    await addPoint(world, "100000000000001", { inVault: true });
    await deleteItem(world.deps, REF);
    await world.runShortJobs();
    world.advance(14 * DAY_MS);
    // The snapshot takes a second call to go.
    expect(await purgeDueItems(world.deps, VAULT)).toBe(0);
    await expect(undeleteItem(world.deps, REF)).rejects.toMatchObject({ code: "HoldfastItemBeingPurged" });
    expect(await purgeDueItems(world.deps, VAULT)).toBe(1);
    await expect(undeleteItem(world.deps, REF)).rejects.toMatchObject({ kind: "not-found" });
  });
});

describe("A short job", () => {
  it("is done by whoever calls it, as often as it is called", async () => {
    const world = await ControlWorld.open("web-1");
    const { jobId: job } = await protect(world);
    const ref = { vault: VAULT, job };
    const answers = await Promise.all([1, 2, 3].map(() => runItemJob(world.deps, ref)));
    expect(answers).toEqual([{ state: "done" }, { state: "done" }, { state: "done" }]);
    const { protectedAt } = await itemOf(world);
    world.advance(5_000);
    expect(await runItemJob(world.deps, ref)).toEqual({ state: "done" });
    expect(await itemOf(world)).toMatchObject({ protectedAt, changingJob: null });
  });

  it("changes nothing when its item does not name it: its request died before that", async () => {
    const world = await protectedWorld();
    const { jobId: job } = await stopProtection(world.deps, REF);
    await setItem(world, { changingJob: null });
    const answer = await runItemJob(world.deps, { vault: VAULT, job });
    expect(answer).toMatchObject({ failure: { code: "HoldfastJobSuperseded" } });
    expect(await itemOf(world)).toMatchObject({ state: "IRPending", policy: "DefaultPolicy" });
    expect((await getJob(world.deps, { vault: VAULT, job })).status).toBe("Failed");
  });

  it("that cannot enable leaves nothing behind, so that one can ask again", async () => {
    const world = await ControlWorld.open("web-1");
    const denied = new HoldfastFailure("denied", "NoKey", "no key");
    const { prepare } = world.archives;
    world.archives.prepare = () => Promise.reject(denied);
    await protect(world);
    const [job] = await world.runShortJobs();
    expect(job).toMatchObject({ status: "Failed", failure: { code: "NoKey", message: "no key" } });
    await expect(itemOf(world)).rejects.toMatchObject({ kind: "not-found" });
    world.archives.prepare = prepare;
    await protect(world);
    await world.runShortJobs();
    expect((await itemOf(world)).protectedAt).not.toBeNull();
  });

  it("says what it changes, or that it is none", async () => {
    const world = await protectedWorld();
    const { jobId } = await suspendBackups(world.deps, REF);
    const job = await getJob(world.deps, { vault: VAULT, job: jobId });
    expect(parseItemChange(job)).toEqual({ kind: "suspend" });
    expect(parseItemChange({ ...job, change: null })).toBeUndefined();
    expect(() => parseItemChange({ ...job, change: { kind: "?" } })).toThrow(/cannot be read/);
  });
});
