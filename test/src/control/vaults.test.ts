import { describe, expect, it } from "vitest";
import { createOperation, getOperation } from "../../../src/control/operations.ts";
import { getPolicy, listPolicies, putPolicy } from "../../../src/control/policies.ts";
import { deleteItem, protectMachine, undeleteItem } from "../../../src/control/protection.ts";
import { VAULT_ROWS } from "../../../src/control/rows/vault-row.ts";
import { createOrUpdateVault, deleteVault, getVault, listVaults, updateVault } from "../../../src/control/vaults.ts";
import { DEFAULT_POLICIES } from "../../../src/domain/default-policies.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { ControlWorld, GROUP, ITEM, REGION, VAULT } from "../../support/control-world.ts";
import { SUBSCRIPTION, vmIdOf } from "../../support/memory-machines.ts";

const REF = { subscriptionId: SUBSCRIPTION, resourceGroup: GROUP, name: "vault-1" };
const PROTECT = { vault: VAULT, item: ITEM, machineId: vmIdOf("web-1"), policy: "DefaultPolicy" };

describe("A vault", () => {
  it("is created once, with the default policies, and found in any case", async () => {
    const world = new ControlWorld();
    const first = await world.addVault("vault-1");
    expect(first.isNew).toBe(true);
    expect(first.vault.body).toMatchObject({ redundancy: "GeoRedundant", softDelete: { state: "Enabled", days: 14 } });
    expect((await world.addVault("VAULT-1")).isNew).toBe(false);
    const loud = { subscriptionId: SUBSCRIPTION.toUpperCase(), resourceGroup: "BACKUPS", name: "Vault-1" };
    expect((await getVault(world.deps, loud)).body.name).toBe("vault-1");
    const { values } = await listPolicies(world.deps, { vault: VAULT, limit: 10 });
    expect(Object.fromEntries(values.map(({ name, policy }) => [name, policy]))).toEqual(DEFAULT_POLICIES);
  });

  it("has a name that no other vault of its subscription has, in whatever group", async () => {
    const world = new ControlWorld();
    await world.addVault("vault-1");
    const taken = { kind: "conflict", code: "HoldfastVaultNameTaken" };
    await expect(world.addVault("Vault-1", "other")).rejects.toMatchObject(taken);
    await expect(getVault(world.deps, { ...REF, resourceGroup: "other" })).rejects.toMatchObject({ kind: "not-found" });
  });

  it("stays in its region, which must be one of the deployment's", async () => {
    const world = new ControlWorld();
    await world.addVault("vault-1", GROUP, "West Europe");
    const moved = { code: "InvalidResourceLocation" };
    await expect(world.addVault("vault-1", GROUP, "northeurope")).rejects.toMatchObject(moved);
    const nowhere = { code: "LocationNotAvailableForResourceType" };
    await expect(world.addVault("vault-2", GROUP, "mars")).rejects.toMatchObject(nowhere);
    await expect(world.addVault("9-vaults")).rejects.toMatchObject({ code: "InvalidResourceName" });
  });

  it("is completed by the next PUT when its creation died before it had policies, and unseen until then", async () => {
    const world = new ControlWorld();
    const { partition, key, body, etag } = (await world.addVault("vault-1")).vault;
    await world.tables.replace(VAULT_ROWS.table, { partition, key, body: { ...body, isReady: false } }, etag);
    await world.tables.remove("policies", VAULT, "enhancedpolicy");
    await expect(getVault(world.deps, REF)).rejects.toMatchObject({ kind: "not-found" });
    expect((await listVaults(world.deps, REF, { limit: 10 })).values).toEqual([]);
    expect((await world.addVault("vault-1")).isNew).toBe(true);
    expect((await getPolicy(world.deps, { vault: VAULT, policy: "EnhancedPolicy" })).policy.type).toBe("V2");
  });

  it("lists by subscription and by group, in pages", async () => {
    const world = new ControlWorld();
    for (const name of ["a-1", "a-2", "b-1", "b-2", "c-1"]) await world.addVault(name, name.slice(0, 1));
    const list = async (resourceGroup: string | undefined, limit: number, after?: string) => {
      const page = await listVaults(world.deps, { subscriptionId: SUBSCRIPTION, resourceGroup }, { limit, after });
      return { names: page.values.map(({ body }) => body.name), next: page.next };
    };
    const all = await list(undefined, 3);
    expect(all.names).toEqual(["a-1", "a-2", "b-1"]);
    expect(await list(undefined, 3, all.next)).toEqual({ names: ["b-2", "c-1"], next: undefined });
    const group = await list("B", 1);
    expect(group.names).toEqual(["b-1"]);
    expect(await list("B", 1, group.next)).toEqual({ names: ["b-2"], next: undefined });
  });

  it("changes what is written and keeps the rest", async () => {
    const world = new ControlWorld();
    await world.addVault("vault-1");
    await updateVault(world.deps, REF, { tags: { team: "a" }, settings: { publicNetworkAccess: "Disabled" } });
    await updateVault(world.deps, REF, { redundancy: "LocallyRedundant", settings: { other: 1 } });
    const { body } = await getVault(world.deps, REF);
    expect(body).toMatchObject({ tags: { team: "a" }, redundancy: "LocallyRedundant" });
    expect(body.settings).toEqual({ publicNetworkAccess: "Disabled", other: 1 });
  });

  it.each(["state", "enhancedState"] as const)(
    "never takes back that its %s of soft delete is always on",
    async (field) => {
      const world = new ControlWorld();
      await world.addVault("vault-1");
      await updateVault(world.deps, REF, { softDelete: { [field]: "AlwaysON" } });
      const refusal = { code: "BMSUserErrorDisablingSoftDeleteStateNotAllowed" };
      for (const state of ["Enabled", "Disabled"] as const) {
        await expect(updateVault(world.deps, REF, { softDelete: { [field]: state } })).rejects.toMatchObject(refusal);
      }
      await updateVault(world.deps, REF, { softDelete: { days: 30 } });
      await expect(updateVault(world.deps, REF, { softDelete: { days: 13 } })).rejects.toMatchObject({
        kind: "invalid",
      });
    },
  );

  it("keeps its redundancy once something was protected, even when that is soft-deleted", async () => {
    const world = await ControlWorld.open("web-1");
    await updateVault(world.deps, REF, { redundancy: "ZoneRedundant" });
    await protectMachine(world.deps, PROTECT);
    await world.runShortJobs();
    expect([...world.archives.prepared.values()].map(({ redundancy }) => redundancy)).toEqual(["ZoneRedundant"]);
    await deleteItem(world.deps, { vault: VAULT, item: ITEM });
    await world.runShortJobs();
    const locked = { code: "HoldfastRedundancyLocked" };
    await expect(updateVault(world.deps, REF, { redundancy: "LocallyRedundant" })).rejects.toMatchObject(locked);
    await updateVault(world.deps, REF, { redundancy: "ZoneRedundant", tags: {} });
  });

  it("restores across regions only with storage in two", async () => {
    const world = new ControlWorld();
    await world.addVault("vault-1");
    await updateVault(world.deps, REF, { crossRegionRestore: true });
    const refusal = { code: "HoldfastCrossRegionNeedsGeoRedundancy" };
    await expect(updateVault(world.deps, REF, { redundancy: "LocallyRedundant" })).rejects.toMatchObject(refusal);
    await updateVault(world.deps, REF, { redundancy: "LocallyRedundant", crossRegionRestore: false });
  });

  it("locks immutability only one way", async () => {
    const world = new ControlWorld();
    await world.addVault("vault-1");
    await updateVault(world.deps, REF, { immutability: "Unlocked" });
    await updateVault(world.deps, REF, { immutability: "Locked" });
    for (const immutability of ["Unlocked", "Disabled"] as const) {
      await expect(updateVault(world.deps, REF, { immutability })).rejects.toMatchObject({ kind: "conflict" });
    }
  });

  it("is deleted when nothing is in it, soft-deleted items included, and says what az looks for", async () => {
    const world = await ControlWorld.open("web-1");
    await protectMachine(world.deps, PROTECT);
    await world.runShortJobs();
    const refusal = { kind: "conflict", code: "ServiceResourceNotEmptyWithContainerDetails" };
    await expect(deleteVault(world.deps, REF)).rejects.toMatchObject(refusal);
    await deleteItem(world.deps, { vault: VAULT, item: ITEM });
    await world.runShortJobs();
    await expect(deleteVault(world.deps, REF)).rejects.toThrow(/existing resources within the vault/);
    // The refused deletion stands in nobody's way.
    await undeleteItem(world.deps, { vault: VAULT, item: ITEM });
    await world.runShortJobs();
    await updateVault(world.deps, REF, { softDelete: { state: "Disabled" } });
    await deleteItem(world.deps, { vault: VAULT, item: ITEM });
    await world.runShortJobs();
    expect(await deleteVault(world.deps, REF)).toBe("deleted");
    expect(await deleteVault(world.deps, REF)).toBe("absent");
    await expect(getVault(world.deps, REF)).rejects.toMatchObject({ code: "ResourceNotFound" });
  });

  it("is not deleted by the name of another group", async () => {
    const world = new ControlWorld();
    await world.addVault("vault-1");
    expect(await deleteVault(world.deps, { ...REF, resourceGroup: "other" })).toBe("absent");
    expect((await getVault(world.deps, REF)).body.name).toBe("vault-1");
  });

  it("begins anew under an old name: no policy of the vault before it comes back", async () => {
    const world = new ControlWorld();
    await world.addVault("vault-1");
    const written = DEFAULT_POLICIES.DefaultPolicy as Policy;
    const kept = { ...written, retention: { daily: { keepDays: 99 } } };
    await putPolicy(world.deps, { vault: VAULT, policy: "DefaultPolicy", written: kept });
    await putPolicy(world.deps, { vault: VAULT, policy: "Extra", written: kept });
    const rows = world.tables.bodiesOf("policies") as { readonly name: string }[];
    await deleteVault(world.deps, REF);
    // A deletion that died before it had tidied up leaves the rows of its policies.
    for (const body of rows) {
      await world.tables.insert("policies", { partition: VAULT, key: body.name.toLowerCase(), body });
    }
    world.advance(1);
    await world.addVault("vault-1");
    expect((await getPolicy(world.deps, { vault: VAULT, policy: "DefaultPolicy" })).policy).toEqual(written);
    await expect(getPolicy(world.deps, { vault: VAULT, policy: "Extra" })).rejects.toMatchObject({ kind: "not-found" });
    expect((await listPolicies(world.deps, { vault: VAULT, limit: 10 })).values).toHaveLength(2);
    expect((await putPolicy(world.deps, { vault: VAULT, policy: "Extra", written })).isNew).toBe(true);
  });

  it("is made once by requests that race, and by one that is repeated", async () => {
    const world = new ControlWorld();
    const made = await Promise.all([1, 2, 3].map(() => world.addVault("vault-1")));
    expect(new Set(made.map(({ vault }) => vault.body.createdAt)).size).toBe(1);
    expect(world.tables.bodiesOf("policies")).toHaveLength(2);
    await createOrUpdateVault(world.deps, REF, { location: REGION, tags: { again: "yes" } });
    expect((await getVault(world.deps, REF)).body.tags).toEqual({ again: "yes" });
  });
});

describe("An operation", () => {
  it("without a job is over at once, with its result", async () => {
    const world = await ControlWorld.open();
    const { operationId } = await createOperation(world.deps, VAULT, { result: { answer: 42 } });
    const state = await getOperation(world.deps, { vault: VAULT, operation: operationId.toUpperCase() });
    expect(state).toMatchObject({ status: "Succeeded", result: { answer: 42 }, jobId: null });
    const other = getOperation(world.deps, { vault: VAULT, operation: "nope" });
    await expect(other).rejects.toMatchObject({ kind: "not-found" });
  });

  it("ends with its job, when that is closed", async () => {
    const world = await ControlWorld.open("web-1");
    const { operationId, jobId } = await protectMachine(world.deps, PROTECT);
    const state = () => getOperation(world.deps, { vault: VAULT, operation: operationId });
    expect(await state()).toMatchObject({ status: "InProgress", endedAt: null, jobId });
    await world.runShortJobs();
    expect(await state()).toMatchObject({
      status: "Succeeded",
      jobId,
      failure: null,
      endedAt: world.now.toISOString(),
    });
  });

  it("fails with its job, for the same reason", async () => {
    const world = await ControlWorld.open("web-1");
    const { operationId } = await protectMachine(world.deps, PROTECT);
    await world.tables.remove("items", VAULT, ITEM.toLowerCase());
    await world.runShortJobs();
    const state = await getOperation(world.deps, { vault: VAULT, operation: operationId });
    expect(state).toMatchObject({ status: "Failed", failure: { code: "BMSUserErrorDataSourceObjectNotFound" } });
  });
});
