// Who holds a machine's phase, across jobs whose orchestration is gone and comes again.

import { expect, it } from "vitest";
import type { ControlDeps } from "../../../src/control/control-deps.ts";
import { claimPhase, freePhase, requirePhase } from "../../../src/control/phases.ts";
import { MemoryTableStore } from "../../support/memory-table-store.ts";

const PHASE = { vault: "sub/vault1", item: "vm-1", phase: "transfer" } as const;
const lost = expect.objectContaining({ kind: "conflict", code: "HoldfastPhaseLost" });

function world() {
  const over = new Set<string>();
  const deps = {
    tables: new MemoryTableStore(),
    clock: { now: () => new Date("2026-03-01T12:00:00.000Z") },
    workflow: { stateOf: async (job: string) => (over.has(job) ? "over" : "running") },
  } as unknown as ControlDeps;
  return { deps, over };
}

async function fenceOf(deps: ControlDeps, job: string): Promise<number> {
  const claim = await claimPhase(deps, PHASE, job);
  if ("holder" in claim) throw new Error(`${claim.holder} holds it`);
  return claim.fence;
}

it("lets the holder go on, and nobody else, under the fence it was granted", async () => {
  const { deps } = world();
  const fence = await fenceOf(deps, "one");
  await requirePhase(deps, PHASE, { job: "one", fence });
  expect(await fenceOf(deps, "one")).toBe(fence);
  await expect(requirePhase(deps, PHASE, { job: "other", fence })).rejects.toEqual(lost);
  await expect(requirePhase(deps, PHASE, { job: "one", fence: null })).rejects.toEqual(lost);
  await freePhase(deps, PHASE, "one");
  await expect(requirePhase(deps, PHASE, { job: "one", fence })).rejects.toEqual(lost);
});

it("stops a step of a job that lost the phase to another one, also when the job holds it again", async () => {
  const { deps, over } = world();
  const before = await fenceOf(deps, "one");
  over.add("one");
  await fenceOf(deps, "other");
  await freePhase(deps, PHASE, "other");
  over.delete("one");
  const now = await fenceOf(deps, "one");
  await requirePhase(deps, PHASE, { job: "one", fence: now });
  await expect(requirePhase(deps, PHASE, { job: "one", fence: before })).rejects.toEqual(lost);
});
