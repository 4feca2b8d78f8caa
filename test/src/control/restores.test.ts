import { describe, expect, it } from "vitest";
import { getJob } from "../../../src/control/jobs.ts";
import { getPoint, listPoints } from "../../../src/control/points.ts";
import { deleteItem, protectMachine } from "../../../src/control/protection.ts";
import { type RestoreOf, startRestore, validateRestore } from "../../../src/control/restores.ts";
import { addPoint } from "../../support/control-points.ts";
import { ControlWorld, ITEM, STAGING_ID, VAULT } from "../../support/control-world.ts";
import { SUBSCRIPTION, vmIdOf } from "../../support/memory-machines.ts";

const REF = { vault: VAULT, item: ITEM };
const POINT = "100000000000001";
const groupId = (name: string, subscription = SUBSCRIPTION) => `/subscriptions/${subscription}/resourceGroups/${name}`;
const REQUEST: RestoreOf["request"] = {
  recoveryType: "RestoreDisks",
  sourceResourceId: vmIdOf("web-1"),
  targetResourceGroupId: groupId("restored"),
  storageAccountId: STAGING_ID,
  region: "westeurope",
};

async function worldWithPoint(): Promise<ControlWorld> {
  const world = await ControlWorld.open("web-1");
  await protectMachine(world.deps, { ...REF, machineId: vmIdOf("web-1"), policy: "DefaultPolicy" });
  await world.runShortJobs();
  await addPoint(world, POINT, { inVault: true });
  return world;
}

function restore(world: ControlWorld, more: Partial<RestoreOf["request"]> = {}, pointId = POINT) {
  return startRestore(world.deps, { ...REF, pointId, request: { ...REQUEST, ...more } });
}

describe("Restoring", () => {
  it("makes a job with all that was asked for, and starts it", async () => {
    const world = await worldWithPoint();
    const { jobId } = await restore(world, { restoreDiskLunList: [0] });
    const job = await getJob(world.deps, { vault: VAULT, job: jobId });
    expect(job).toMatchObject({ operation: "Restore", status: "InProgress", item: ITEM });
    expect(job.restore).toEqual({
      ...{ pointId: POINT, recoveryType: "RestoreDisks", location: "westeurope", zones: [], luns: [0], disks: [] },
      ...{ targetSubscriptionId: SUBSCRIPTION, targetResourceGroup: "restored", stagingAccountId: STAGING_ID },
    });
    expect(job.properties).toMatchObject({
      "Job Type": "Recover disks",
      "Target Storage Account Name": "staging",
      "Recovery point time ": world.now.toISOString(),
      "Target resource group": "restored",
    });
    expect(world.workflow.started.at(-1)).toMatchObject({ name: "restore-v1", instanceId: jobId });
  });

  it.each<[string, Partial<RestoreOf["request"]>, string]>([
    ["a group that is not there", { targetResourceGroupId: groupId("nowhere") }, "ResourceGroupNotFound"],
    [
      "a group of a foreign subscription",
      { targetResourceGroupId: groupId("restored", "55555555") },
      "HoldfastSubscriptionNotServed",
    ],
    ["an account that is not there", { storageAccountId: `${STAGING_ID}x` }, "ResourceNotFound"],
    ["another region than the vault's", { region: "northeurope" }, "HoldfastOtherRegion"],
    ["a disk that the point does not have", { restoreDiskLunList: [7] }, "HoldfastLunNotInPoint"],
    ["machines, which this release does not make", { recoveryType: "OriginalLocation" }, "UserErrorVmNotShutDown"],
  ])("is refused for %s, before anything is made", async (_, more, code) => {
    const world = await worldWithPoint();
    const jobs = world.tables.bodiesOf("jobs").length;
    await expect(restore(world, more)).rejects.toMatchObject({ code });
    const request = { ...REQUEST, ...more };
    const conflicts = await validateRestore(world.deps, { ...REF, pointId: POINT, request });
    expect(conflicts.map((conflict) => conflict.code)).toContain(code);
    expect(world.tables.bodiesOf("jobs")).toHaveLength(jobs);
  });

  it("names every conflict at once", async () => {
    const world = await worldWithPoint();
    world.accounts.set(STAGING_ID.toLowerCase(), "northeurope");
    const request = { ...REQUEST, restoreDiskLunList: [7], region: "northeurope" };
    const conflicts = await validateRestore(world.deps, { ...REF, pointId: POINT, request });
    expect(conflicts.map(({ field }) => field)).toEqual(["region", "restoreDiskLunList", "storageAccountId"]);
    expect(await validateRestore(world.deps, { ...REF, pointId: POINT, request: REQUEST })).toHaveLength(1);
  });

  it("is refused where nothing is left, or all is deleted", async () => {
    const world = await worldWithPoint();
    const snapshot = { state: "deleted" as const, ref: null, disks: [] };
    await addPoint(world, "100000000000002", { inVault: false, more: { snapshot } });
    await expect(restore(world, {}, "100000000000002")).rejects.toMatchObject({ code: "UserErrorInstantRpNotFound" });
    await expect(restore(world, {}, "1")).rejects.toMatchObject({ code: "UserErrorRecoveryPointNotFound" });
    await deleteItem(world.deps, REF);
    await world.runShortJobs();
    await expect(restore(world)).rejects.toMatchObject({ code: "HoldfastItemStateForbids" });
  });
});

describe("Recovery points", () => {
  it("are listed newest first, in pages, and read one by one", async () => {
    const world = await worldWithPoint();
    for (const id of ["100000000000003", "100000000000002", "100000000000004"]) {
      await addPoint(world, id, { inVault: false });
    }
    const first = await listPoints(world.deps, { ...REF, limit: 3 });
    expect(first.values.map(({ pointId }) => pointId.at(-1))).toEqual(["4", "3", "2"]);
    const rest = await listPoints(world.deps, { ...REF, limit: 3, after: first.next });
    expect([rest.values.map(({ pointId }) => pointId.at(-1)), rest.next]).toEqual([["1"], undefined]);
    const inVault = await listPoints(world.deps, { ...REF, limit: 3, matches: ({ archive }) => archive !== null });
    expect(inVault.values.map(({ pointId }) => pointId)).toEqual([POINT]);
    expect((await getPoint(world.deps, { ...REF, pointId: POINT })).archive).not.toBeNull();
    for (const pointId of ["1", "x", "100000000000009"]) {
      await expect(getPoint(world.deps, { ...REF, pointId })).rejects.toMatchObject({ kind: "not-found" });
    }
  });
});
