import { describe, expect, it } from "vitest";
import {
  countItemsByPolicy,
  deletePolicy,
  getPolicy,
  listPolicies,
  nextRunTime,
  nextRunTimes,
  putPolicy,
  setEveryMinutes,
  type WrittenPolicy,
} from "../../../src/control/policies.ts";
import { protectMachine, stopProtection } from "../../../src/control/protection.ts";
import { updateVault } from "../../../src/control/vaults.ts";
import { ControlWorld, GROUP, VAULT } from "../../support/control-world.ts";
import { itemNameOf, SUBSCRIPTION, vmIdOf } from "../../support/memory-machines.ts";

const DAILY: WrittenPolicy = {
  type: "V1",
  timeZone: "Europe/Berlin",
  schedule: { frequency: "Daily", time: { hour: 2, minute: 30 } },
  retention: { daily: { keepDays: 30 } },
  instantRestoreDays: 2,
  snapshotGroup: { prefix: "", suffix: "" },
};
const WEEKLY: WrittenPolicy = {
  ...DAILY,
  schedule: { frequency: "Weekly", days: ["Sunday"], time: { hour: 2, minute: 30 } },
  retention: { weekly: { weekdays: ["Sunday"], keepWeeks: 12 } },
  instantRestoreDays: 5,
};
const NIGHTLY = { vault: VAULT, policy: "Nightly" };
const IN_USE = { kind: "invalid", code: "BMSUserErrorPolicyInUse" };

function protect(world: ControlWorld, name: string, policy: string) {
  return protectMachine(world.deps, { vault: VAULT, item: itemNameOf(name), machineId: vmIdOf(name), policy });
}

describe("A policy", () => {
  it("is written, read in any case, and counts its edits, but not what changes nothing", async () => {
    const world = await ControlWorld.open();
    expect((await putPolicy(world.deps, { ...NIGHTLY, written: DAILY })).isNew).toBe(true);
    const again = await putPolicy(world.deps, { ...NIGHTLY, written: { ...DAILY } });
    expect(again).toMatchObject({ isNew: false, policy: { version: 1 } });
    const longer = { ...DAILY, retention: { daily: { keepDays: 60 } } };
    world.advance(1_000);
    await putPolicy(world.deps, { vault: VAULT, policy: "NIGHTLY", written: longer });
    const changedAt = world.now.toISOString();
    const policy = await getPolicy(world.deps, { vault: VAULT, policy: "nightly" });
    expect(policy).toMatchObject({ name: "Nightly", version: 2, policy: longer, changedAt });
  });

  it("is refused with every broken rule and its field", async () => {
    const world = await ControlWorld.open();
    const written = { ...DAILY, timeZone: "Mars", retention: { daily: { keepDays: 3 } } };
    const put = () => putPolicy(world.deps, { ...NIGHTLY, written });
    await expect(put()).rejects.toMatchObject({ kind: "invalid", code: "BMSUserErrorInvalidPolicyInput" });
    await expect(put()).rejects.toThrow(/timeZone.*retentionPolicy\.dailySchedule\.retentionDuration\.count/);
    await expect(getPolicy(world.deps, NIGHTLY)).rejects.toMatchObject({ code: "BMSUserErrorPolicyNotFound" });
    for (const policy of ["9lives", "ab", "with space", `a${"b".repeat(150)}`]) {
      const refused = putPolicy(world.deps, { vault: VAULT, policy, written: DAILY });
      await expect(refused).rejects.toMatchObject({ kind: "invalid" });
    }
  });

  it("keeps what is ours alone when another client writes it", async () => {
    const world = await ControlWorld.open();
    await putPolicy(world.deps, { ...NIGHTLY, written: DAILY });
    await setEveryMinutes(world.deps, { ...NIGHTLY, everyMinutes: 5 });
    await putPolicy(world.deps, { ...NIGHTLY, written: { ...DAILY, instantRestoreDays: 3 } });
    const { policy, version } = await getPolicy(world.deps, NIGHTLY);
    expect([policy.everyMinutes, policy.instantRestoreDays, version]).toEqual([5, 3, 3]);
    const never = setEveryMinutes(world.deps, { ...NIGHTLY, everyMinutes: 0 });
    await expect(never).rejects.toMatchObject({ kind: "invalid" });
    await setEveryMinutes(world.deps, { ...NIGHTLY, everyMinutes: null });
    expect((await getPolicy(world.deps, NIGHTLY)).policy).toEqual({ ...DAILY, instantRestoreDays: 3 });
  });

  it("remembers the weekly rule that it left behind, until it has one again", async () => {
    const world = await ControlWorld.open();
    const former = async (written: WrittenPolicy) =>
      (await putPolicy(world.deps, { ...NIGHTLY, written })).policy.formerWeeklyRule;
    expect(await former(WEEKLY)).toBeNull();
    expect(await former(DAILY)).toEqual(WEEKLY.retention.weekly);
    expect(await former({ ...DAILY, instantRestoreDays: 1 })).toEqual(WEEKLY.retention.weekly);
    expect(await former(WEEKLY)).toBeNull();
  });

  it("says when it runs next, in its own zone", async () => {
    const world = await ControlWorld.open();
    const { policy } = await putPolicy(world.deps, { ...NIGHTLY, written: DAILY });
    // 02:30 in Berlin; the clocks go forward on 29 March 2026, from 02:00 to 03:00.
    world.now = new Date("2026-03-27T12:00:00Z");
    expect(nextRunTimes(world.deps, policy, 3).map((at) => at.toISOString())).toEqual([
      "2026-03-28T01:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
    expect(nextRunTime(world.deps, policy)?.toISOString()).toBe("2026-03-28T01:30:00.000Z");
  });

  it("keeps no less in an immutable vault", async () => {
    const world = await ControlWorld.open();
    await putPolicy(world.deps, { ...NIGHTLY, written: DAILY });
    const vault = { subscriptionId: SUBSCRIPTION, resourceGroup: GROUP, name: "vault-1" };
    await updateVault(world.deps, vault, { immutability: "Unlocked" });
    const keep = (keepDays: number) =>
      putPolicy(world.deps, { ...NIGHTLY, written: { ...DAILY, retention: { daily: { keepDays } } } });
    await expect(keep(29)).rejects.toMatchObject({ code: "HoldfastVaultImmutable" });
    await keep(31);
  });

  it("is deleted when no item uses it, and only then", async () => {
    const world = await ControlWorld.open("web-1");
    await putPolicy(world.deps, { ...NIGHTLY, written: DAILY });
    await protect(world, "web-1", "nightly");
    await expect(deletePolicy(world.deps, NIGHTLY)).rejects.toMatchObject(IN_USE);
    await world.runShortJobs();
    await expect(deletePolicy(world.deps, NIGHTLY)).rejects.toMatchObject(IN_USE);
    expect((await countItemsByPolicy(world.deps, VAULT)).get("nightly")).toBe(1);
    await stopProtection(world.deps, { vault: VAULT, item: itemNameOf("web-1") });
    await world.runShortJobs();
    expect(await deletePolicy(world.deps, NIGHTLY)).toBe("deleted");
    expect(await deletePolicy(world.deps, NIGHTLY)).toBe("absent");
  });

  it("is in use from the moment that an item is asked to change to it", async () => {
    const world = await ControlWorld.open("web-1");
    await putPolicy(world.deps, { ...NIGHTLY, written: DAILY });
    await protect(world, "web-1", "DefaultPolicy");
    await world.runShortJobs();
    await protect(world, "web-1", "Nightly");
    await expect(deletePolicy(world.deps, NIGHTLY)).rejects.toMatchObject(IN_USE);
    await world.runShortJobs();
    expect(await deletePolicy(world.deps, { vault: VAULT, policy: "DefaultPolicy" })).toBe("deleted");
  });

  it("can be used when a deletion was refused, or has died half-way", async () => {
    const world = await ControlWorld.open("web-1", "web-2");
    await putPolicy(world.deps, { ...NIGHTLY, written: DAILY });
    await protect(world, "web-1", "Nightly");
    await expect(deletePolicy(world.deps, NIGHTLY)).rejects.toMatchObject(IN_USE);
    const row = await world.tables.read("policies", VAULT, "nightly");
    const body = { ...(row?.body as object), deletingSince: world.now.toISOString() };
    await world.tables.replace("policies", { partition: VAULT, key: "nightly", body }, row?.etag ?? "");
    await protect(world, "web-2", "Nightly");
    expect((await getPolicy(world.deps, NIGHTLY)).deletingSince).toBeNull();
  });

  it("is one of at most two hundred, listed in pages", async () => {
    const world = await ControlWorld.open();
    const put = (policy: string, written = DAILY) => putPolicy(world.deps, { vault: VAULT, policy, written });
    for (let count = 2; count < 200; count++) await put(`p-${count}`);
    await expect(put("one-more")).rejects.toMatchObject({ code: "HoldfastTooManyPolicies" });
    await put("p-7", WEEKLY);
    const names: string[] = [];
    for (let after: string | undefined = ""; after !== undefined; ) {
      const page = await listPolicies(world.deps, { vault: VAULT, limit: 7, after: after === "" ? undefined : after });
      names.push(...page.values.map(({ name }) => name));
      after = page.next;
    }
    expect([names.length, new Set(names).size]).toEqual([200, 200]);
  });
});
