import { describe, expect, it } from "vitest";
import {
  getContainer,
  listContainers,
  registerContainer,
  unregisterContainer,
} from "../../../src/control/containers.ts";
import {
  backupStatusOf,
  listProtectableMachines,
  preValidate,
  refreshMachines,
} from "../../../src/control/discovery.ts";
import { getOperation } from "../../../src/control/operations.ts";
import { protectMachine } from "../../../src/control/protection.ts";
import { deleteVault } from "../../../src/control/vaults.ts";
import { ControlWorld, GROUP, VAULT } from "../../support/control-world.ts";
import { itemNameOf, machineOf, SUBSCRIPTION, vmIdOf } from "../../support/memory-machines.ts";

const OTHER = `${SUBSCRIPTION}/vault-2`;
const containerOf = (name: string) => `IaasVMContainer;iaasvmcontainerv2;apps;${name}`;

function protect(world: ControlWorld, name: string, vault = VAULT) {
  const request = { vault, item: itemNameOf(name), machineId: vmIdOf(name), policy: "DefaultPolicy" };
  return protectMachine(world.deps, request);
}

const register = (world: ControlWorld, name: string, vault = VAULT) =>
  registerContainer(world.deps, { vault, container: containerOf(name), machineId: vmIdOf(name) });

async function protectable(world: ControlWorld, vault = VAULT): Promise<string[]> {
  const { values } = await listProtectableMachines(world.deps, { vault, limit: 100 });
  return values.map(({ name }) => name);
}

describe("Discovering machines", () => {
  it("lists those of the vault's region that nobody protects, in pages", async () => {
    const world = await ControlWorld.open("c", "a", "d", "b");
    world.machines.add(machineOf("far", { location: "northeurope" }));
    expect(await protectable(world)).toEqual(["a", "b", "c", "d"]);
    const first = await listProtectableMachines(world.deps, { vault: VAULT, limit: 2 });
    const rest = await listProtectableMachines(world.deps, { vault: VAULT, limit: 2, after: first.next });
    expect([first.values.length, rest.values.map(({ name }) => name), rest.next]).toEqual([2, ["c", "d"], undefined]);
    await protect(world, "b");
    expect(await protectable(world)).toEqual(["a", "c", "d"]);
    await world.addVault("vault-2");
    expect(await protectable(world, OTHER)).toEqual(["a", "c", "d"]);
    world.machines.add(machineOf("new"));
    const { operationId } = await refreshMachines(world.deps, { vault: VAULT });
    expect((await getOperation(world.deps, { vault: VAULT, operation: operationId })).status).toBe("Succeeded");
    expect(await protectable(world)).toContain("new");
  });

  it("is not misled by a claim that a crash left behind", async () => {
    const world = await ControlWorld.open("a");
    await protect(world, "a");
    await world.tables.remove("items", VAULT, itemNameOf("a").toLowerCase());
    expect(await protectable(world)).toEqual(["a"]);
    await world.addVault("vault-2");
    await protect(world, "a", OTHER);
    expect(await protectable(world)).toEqual([]);
  });

  it("says before what protecting would be refused for", async () => {
    const world = await ControlWorld.open("a", "b");
    await protect(world, "b");
    const refusalOf = async (name: string) =>
      (await preValidate(world.deps, { vault: VAULT, machineId: vmIdOf(name) })).refusal?.code;
    expect(await refusalOf("a")).toBeUndefined();
    expect(await refusalOf("b")).toBe("HoldfastAlreadyProtected");
    expect(await refusalOf("gone")).toBe("BCMV2VMNotFound");
    const names = await preValidate(world.deps, { vault: VAULT, machineId: vmIdOf("a") });
    expect(names).toMatchObject({ containerName: containerOf("a"), itemName: itemNameOf("a") });
  });

  it("says who protects a machine", async () => {
    const world = await ControlWorld.open("a", "b");
    const statusOf = (name: string) => backupStatusOf(world.deps, { machineId: vmIdOf(name).toUpperCase() });
    expect(await statusOf("a")).toEqual({ status: "NotProtected", vault: undefined, item: undefined });
    await protect(world, "a");
    expect(await statusOf("a")).toMatchObject({ status: "Protecting" });
    await world.runShortJobs();
    expect(await statusOf("a")).toMatchObject({ status: "Protected", vault: { name: "vault-1" } });
    await register(world, "b");
    expect((await statusOf("b")).status).toBe("NotProtected");
  });
});

describe("Registering a machine", () => {
  it("keeps other vaults away, and lets its own protect it", async () => {
    const world = await ControlWorld.open("a");
    await world.addVault("vault-2");
    await register(world, "a");
    const [job] = await world.runShortJobs();
    expect(job).toMatchObject({ operation: "Register", status: "Completed", machineName: "a" });
    expect(await getContainer(world.deps, { vault: VAULT, container: containerOf("A") })).toMatchObject({
      name: containerOf("a"),
      machineId: vmIdOf("a"),
    });
    const claimed = { code: "HoldfastProtectedInAnotherVault" };
    await expect(protect(world, "a", OTHER)).rejects.toMatchObject(claimed);
    await expect(register(world, "a", OTHER)).rejects.toMatchObject(claimed);
    await protect(world, "a");
    await world.runShortJobs();
    const inUse = unregisterContainer(world.deps, { vault: VAULT, container: containerOf("a") });
    await expect(inUse).rejects.toMatchObject({ code: "HoldfastContainerInUse" });
  });

  it("ends with unregistering, or with the vault", async () => {
    const world = await ControlWorld.open("a", "b");
    await world.addVault("vault-2");
    await register(world, "a");
    await register(world, "b");
    await world.runShortJobs();
    await unregisterContainer(world.deps, { vault: VAULT, container: containerOf("a") });
    await world.runShortJobs();
    const gone = getContainer(world.deps, { vault: VAULT, container: containerOf("a") });
    await expect(gone).rejects.toMatchObject({ code: "BMSUserErrorContainerObjectNotFound" });
    await protect(world, "a", OTHER);
    await deleteVault(world.deps, { subscriptionId: SUBSCRIPTION, resourceGroup: GROUP, name: "vault-1" });
    await protect(world, "b", OTHER);
  });

  it("shows protected and registered machines alike, in pages", async () => {
    const world = await ControlWorld.open("a", "b", "c");
    await register(world, "c");
    await protect(world, "a");
    await register(world, "b");
    await world.runShortJobs();
    const first = await listContainers(world.deps, { vault: VAULT, limit: 2 });
    const rest = await listContainers(world.deps, { vault: VAULT, limit: 2, after: first.next });
    expect([...first.values, ...rest.values].map(({ machineName }) => machineName)).toEqual(["a", "b", "c"]);
    const only = await listContainers(world.deps, {
      vault: VAULT,
      limit: 2,
      matches: ({ machineName }) => machineName === "b",
    });
    expect([only.values.length, only.next]).toEqual([1, undefined]);
  });
});
