import { describe, expect, it } from "vitest";
import { findClaim } from "../../../src/control/claims.ts";
import { registerContainer } from "../../../src/control/containers.ts";
import type { ControlDeps } from "../../../src/control/control-deps.ts";
import { runItemJob } from "../../../src/control/item-jobs.ts";
import { deletePolicy, putPolicy, type WrittenPolicy } from "../../../src/control/policies.ts";
import {
  deleteItem,
  protectMachine,
  stopProtection,
  suspendBackups,
  undeleteItem,
} from "../../../src/control/protection.ts";
import { purgeDueItems } from "../../../src/control/purge.ts";
import { ITEM_ROWS, type ItemBody, itemPlace } from "../../../src/control/rows/item-row.ts";
import { JOB_ROWS, type JobBody } from "../../../src/control/rows/job-row.ts";
import { POLICY_ROWS, policyPlace } from "../../../src/control/rows/policy-row.ts";
import { listRows, readRow } from "../../../src/control/rows/row-kind.ts";
import { VAULT_ROWS, vaultPlace } from "../../../src/control/rows/vault-row.ts";
import { createOrUpdateVault, deleteVault, updateVault } from "../../../src/control/vaults.ts";
import { DEFAULT_POLICIES } from "../../../src/domain/default-policies.ts";
import { exploreRace, type RaceActor, WITH_FAULTS } from "../../support/control-races.ts";
import { ControlWorld, GROUP, ITEM, REGION, VAULT } from "../../support/control-world.ts";
import type { Outcome } from "../../support/exploration.ts";
import { SUBSCRIPTION, vmIdOf } from "../../support/memory-machines.ts";

// Each explores thousands of orders; a busy machine takes its time.
const PATIENCE_MS = 300_000;
const OTHER = `${SUBSCRIPTION}/vault-2`;
const REF = { vault: VAULT, item: ITEM };
const VAULT_REF = { subscriptionId: SUBSCRIPTION, resourceGroup: GROUP, name: "vault-1" };
const DAY_MS = 24 * 3_600_000;
const SPARE = { vault: VAULT, policy: "Spare" };

async function makeWorld({ isProtected = false } = {}): Promise<ControlWorld> {
  const world = await ControlWorld.open("web-1");
  await world.addVault("vault-2");
  await putPolicy(world.deps, { ...SPARE, written: DEFAULT_POLICIES.DefaultPolicy as WrittenPolicy });
  if (!isProtected) return world;
  await protect().run(world.deps);
  await world.runShortJobs();
  return world;
}

const protect = (vault = VAULT, policy = "DefaultPolicy"): RaceActor => ({
  name: `protect in ${vault} under ${policy}`,
  run: (deps) => protectMachine(deps, { vault, item: ITEM, machineId: vmIdOf("web-1"), policy }),
});
const actor = (name: string, run: RaceActor["run"]): RaceActor => ({ name, run });

const itemIn = async (deps: ControlDeps, vault = VAULT): Promise<ItemBody | undefined> =>
  (await readRow(deps.tables, ITEM_ROWS, itemPlace(vault, ITEM)))?.body;

async function jobsIn(deps: ControlDeps, vault = VAULT): Promise<JobBody[]> {
  const jobs: JobBody[] = [];
  for await (const { body } of listRows(deps.tables, JOB_ROWS, vault)) jobs.push(body);
  return jobs;
}

const isDone = (outcomes: ReadonlyMap<string, Outcome>, { name }: RaceActor) => outcomes.get(name)?.kind === "done";

describe.each(WITH_FAULTS)("Requests that meet, %s:", (_, faults) => {
  it("one machine never gets into two vaults, and is free again when it got into none", {
    timeout: PATIENCE_MS,
  }, async () => {
    const [here, there] = [protect(), protect(OTHER)];
    const explored = await exploreRace({
      ...{ world: await makeWorld(), vaults: [VAULT, OTHER], actors: [here, there], ...faults },
      checkEnd: async (deps, outcomes, isSettled) => {
        const [one, other] = [await itemIn(deps), await itemIn(deps, OTHER)];
        if (isDone(outcomes, here)) expect(one).toBeDefined();
        if (isDone(outcomes, there)) expect(other).toBeDefined();
        if (!isSettled) return;
        expect([one, other].filter((item) => item !== undefined).length).toBeLessThanOrEqual(1);
        for (const item of [one, other])
          if (item) expect(item).toMatchObject({ changingJob: null, state: "IRPending" });
        const claim = await findClaim(deps, vmIdOf("web-1"));
        expect(claim?.claim.vault).toBe(one ? VAULT : other ? OTHER : undefined);
        if (!one && !other) await there.run(deps);
      },
    });
    expect(explored.states).toBeGreaterThan(500);
  });

  it("a policy that goes has no item, whoever protects or changes to it", { timeout: PATIENCE_MS }, async () => {
    for (const isProtected of [false, true]) {
      const use = protect(VAULT, "Spare");
      const remove = actor("delete", (deps) => deletePolicy(deps, SPARE));
      await exploreRace({
        ...{ world: await makeWorld({ isProtected }), vaults: [VAULT], actors: [use, remove], ...faults },
        checkEnd: async (deps, outcomes, isSettled) => {
          const policy = await readRow(deps.tables, POLICY_ROWS, policyPlace(VAULT, "Spare"));
          const item = await itemIn(deps);
          if (isDone(outcomes, remove)) expect(policy).toBeUndefined();
          // One that was never enabled is no item yet: its job finds out, and takes it back.
          if (item?.policy === "Spare" && (isSettled || item.protectedAt !== null)) expect(policy).toBeDefined();
          if (isSettled && isDone(outcomes, use)) expect(item).toMatchObject({ policy: "Spare", changingJob: null });
        },
      });
    }
  });

  it("a vault that goes has no item", { timeout: PATIENCE_MS }, async () => {
    const use = protect();
    const remove = actor("delete", (deps) => deleteVault(deps, VAULT_REF));
    await exploreRace({
      ...{ world: await makeWorld(), vaults: [VAULT], actors: [use, remove], ...faults },
      checkEnd: async (deps, outcomes, isSettled) => {
        const vault = await readRow(deps.tables, VAULT_ROWS, vaultPlace(VAULT));
        if (isDone(outcomes, remove)) expect(vault).toBeUndefined();
        if (isDone(outcomes, use)) expect(vault).toBeDefined();
        if (isSettled && (await itemIn(deps))) expect(vault).toBeDefined();
        if (isSettled && !vault) await protect(OTHER).run(deps);
      },
    });
  });

  it("of two changes of an item one is done after the other, or refused", { timeout: PATIENCE_MS }, async () => {
    const change = protect(VAULT, "Spare");
    const stop = actor("suspend", (deps) => suspendBackups(deps, REF));
    await exploreRace({
      ...{ world: await makeWorld({ isProtected: true }), vaults: [VAULT], actors: [change, stop], ...faults },
      checkEnd: async (deps, outcomes, isSettled) => {
        const jobs = (await jobsIn(deps)).filter(({ status }) => status === "InProgress");
        const item = await itemIn(deps);
        if (!isSettled) {
          const named = jobs.filter(({ id }) => id === item?.changingJob);
          expect(named.length).toBeLessThanOrEqual(1);
          expect(isDone(outcomes, change) && isDone(outcomes, stop)).toBe(false);
          return;
        }
        expect(jobs).toEqual([]);
        expect(item?.changingJob).toBeNull();
        if (isDone(outcomes, change)) expect(item).toMatchObject({ policy: "Spare", state: "IRPending" });
        if (isDone(outcomes, stop)) expect(item).toMatchObject({ policy: "DefaultPolicy", state: "BackupsSuspended" });
      },
    });
  });

  it("an item is removed for good or undeleted, never both", { timeout: PATIENCE_MS }, async () => {
    const world = await makeWorld({ isProtected: true });
    await deleteItem(world.deps, REF);
    await world.runShortJobs();
    world.advance(14 * DAY_MS);
    const undelete = actor("undelete", (deps) => undeleteItem(deps, REF));
    const purge = actor("purge", (deps) => purgeDueItems(deps, VAULT));
    await exploreRace({
      ...{ world, vaults: [VAULT], actors: [undelete, purge], ...faults },
      checkEnd: async (deps, outcomes, isSettled) => {
        const item = await itemIn(deps);
        if (isDone(outcomes, undelete)) expect(item).toMatchObject({ isPurging: false });
        if (!isSettled) return;
        if (isDone(outcomes, undelete)) expect(item).toMatchObject({ deletedAt: null, state: "ProtectionStopped" });
        if (item?.deletedAt) expect(await purgeDueItems(deps, VAULT)).toBe(1);
        if (!(await itemIn(deps))) await protect(OTHER).run(deps);
      },
    });
  });

  it("one job that two carry out does one thing, and comes to its end", { timeout: PATIENCE_MS }, async () => {
    const world = await makeWorld();
    const { jobId } = (await protect().run(world.deps)) as { jobId: string };
    const run = (name: string) => actor(name, (deps) => runItemJob(deps, { vault: VAULT, job: jobId }));
    await exploreRace({
      ...{ world, vaults: [VAULT], actors: [run("one"), run("other")], maxPreemptions: 3, ...faults },
      checkEnd: async (deps, _outcomes, isSettled) => {
        if (!isSettled) return;
        const [job] = await jobsIn(deps);
        expect(job).toMatchObject({ id: jobId, status: "Completed" });
        expect(await itemIn(deps)).toMatchObject({ changingJob: null, protectedAt: world.now.toISOString() });
      },
    });
  });

  it("a machine is registered with one vault, or protected by the other", { timeout: PATIENCE_MS }, async () => {
    const container = "IaasVMContainer;iaasvmcontainerv2;apps;web-1";
    const register = actor("register", (deps) =>
      registerContainer(deps, { vault: OTHER, container, machineId: vmIdOf("web-1") }),
    );
    const use = protect();
    await exploreRace({
      ...{ world: await makeWorld(), vaults: [VAULT, OTHER], actors: [use, register], ...faults },
      checkEnd: async (deps, outcomes, isSettled) => {
        expect(isDone(outcomes, use) && isDone(outcomes, register)).toBe(false);
        if (!isSettled) return;
        const claim = await findClaim(deps, vmIdOf("web-1"));
        if (isDone(outcomes, use)) expect(claim).toMatchObject({ claim: { vault: VAULT, isSettled: true } });
        if (isDone(outcomes, register)) expect(claim).toMatchObject({ claim: { vault: OTHER, isSettled: true } });
      },
    });
  });

  it("an archive lies where the vault's redundancy says", { timeout: PATIENCE_MS }, async () => {
    const world = await makeWorld();
    const { jobId } = (await protect().run(world.deps)) as { jobId: string };
    const run = actor("enable", (deps) => runItemJob(deps, { vault: VAULT, job: jobId }));
    const change = actor("redundancy", (deps) => updateVault(deps, VAULT_REF, { redundancy: "LocallyRedundant" }));
    await exploreRace({
      ...{ world, vaults: [VAULT], actors: [run, change], ...faults },
      checkEnd: async (deps) => {
        const vault = (await readRow(deps.tables, VAULT_ROWS, vaultPlace(VAULT)))?.body;
        if (vault?.archive) expect(vault.archive.vaultId).toBe(vault.redundancy);
      },
    });
  });

  it("a vault that is created and deleted at once is whole, or not there", { timeout: PATIENCE_MS }, async () => {
    const ref = { ...VAULT_REF, name: "vault-3" };
    const create = (name: string) => actor(name, (deps) => createOrUpdateVault(deps, ref, { location: REGION }));
    const again = actor("create, delete, create", async (deps) => {
      await createOrUpdateVault(deps, ref, { location: REGION });
      await deleteVault(deps, ref);
      await createOrUpdateVault(deps, ref, { location: REGION });
    });
    await exploreRace({
      ...{ world: await makeWorld(), vaults: [], actors: [create("one"), again], ...faults },
      ...{ maxPreemptions: Math.min(faults.maxPreemptions ?? 3, 3) },
      checkEnd: async (deps, _outcomes, isSettled) => {
        const key = `${SUBSCRIPTION}/vault-3`;
        if (isSettled) await createOrUpdateVault(deps, ref, { location: REGION });
        const vault = (await readRow(deps.tables, VAULT_ROWS, vaultPlace(key)))?.body;
        if (!vault?.isReady) return;
        for (const policy of Object.keys(DEFAULT_POLICIES)) {
          const found = (await readRow(deps.tables, POLICY_ROWS, policyPlace(key, policy)))?.body;
          expect(found?.vaultIncarnation).toBe(vault.incarnation);
        }
      },
    });
  });
});

it("stopping and deleting at once leaves one of them to be asked again", { timeout: PATIENCE_MS }, async () => {
  const stop = actor("stop", (deps) => stopProtection(deps, REF));
  const remove = actor("delete", (deps) => deleteItem(deps, REF));
  await exploreRace({
    ...{ world: await makeWorld({ isProtected: true }), vaults: [VAULT], actors: [stop, remove] },
    checkEnd: async (deps, outcomes, isSettled) => {
      expect(isDone(outcomes, stop) !== isDone(outcomes, remove)).toBe(true);
      if (isSettled) expect((await itemIn(deps))?.deletedAt !== null).toBe(isDone(outcomes, remove));
    },
  });
});
