import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jobIdOf } from "../../../src/domain/job-id.ts";
import {
  backupInProgress,
  claimPhase,
  holds,
  type Phase,
  releasePhase,
  UNTOUCHED_PHASE,
} from "../../../src/domain/phases.ts";

describe("a phase", () => {
  const jobs = [1, 2, 3].map((ms) => jobIdOf({ kind: "Backup", subject: "vm", at: new Date(ms), nonce: "" }));
  const [one, other] = jobs as [(typeof jobs)[number], (typeof jobs)[number]];

  it("is granted to one job, and refused to another while the holder lives, however long", () => {
    const claim = claimPhase(UNTOUCHED_PHASE, one, false);
    expect(claim).toMatchObject({ verdict: "granted", fence: 1 });
    const phase = claim.verdict === "granted" ? claim.phase : UNTOUCHED_PHASE;
    expect(claimPhase(phase, other, false)).toEqual({ verdict: "busy", owner: one });
  });

  it("is granted again, with the same fence, to a job whose first answer was lost", () => {
    const held: Phase = { state: "Held", fence: 7, owner: one };
    expect(claimPhase(held, one, false)).toEqual({ verdict: "granted", phase: held, fence: 7 });
    expect(claimPhase(held, one, true)).toEqual({ verdict: "granted", phase: held, fence: 7 });
  });

  it("is taken over from a holder that has ended, which can then neither hold nor release it", () => {
    const held: Phase = { state: "Held", fence: 7, owner: one };
    const claim = claimPhase(held, other, true);
    expect(claim).toMatchObject({ verdict: "granted", fence: 8 });
    const phase = claim.verdict === "granted" ? claim.phase : held;
    expect(holds(phase, one, 7)).toBe(false);
    expect(releasePhase(phase, one, 7)).toEqual(phase);
    expect(releasePhase(phase, other, 8)).toEqual({ state: "Free", fence: 8 });
  });

  it("that a job holds anew is not released by what it did under its former claim", () => {
    const held: Phase = { state: "Held", fence: 9, owner: one };
    expect(releasePhase(held, one, 7)).toEqual(held);
    expect(holds(held, one, 7)).toBe(false);
  });

  it("in any order of claims, releases and deaths never gives two jobs one fence, nor a fence twice", () => {
    const step = fc.record({
      job: fc.nat(2),
      does: fc.constantFrom("claim" as const, "release" as const, "die" as const),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let phase = UNTOUCHED_PHASE;
        const ended = new Set<string>();
        const fences = new Map<number, string>();
        const last = new Map<string, number>();
        for (const { job: at, does } of steps) {
          const job = jobs[at] as (typeof jobs)[number];
          if (does === "die") ended.add(job);
          if (does === "release") phase = releasePhase(phase, job, last.get(job) ?? 0);
          if (does !== "claim" || ended.has(job)) continue;
          const claim = claimPhase(phase, job, phase.state === "Held" && ended.has(phase.owner));
          if (claim.verdict === "busy") {
            expect(ended.has(claim.owner)).toBe(false);
            continue;
          }
          expect(fences.get(claim.fence) ?? job).toBe(job);
          expect(claim.fence).toBeGreaterThanOrEqual(phase.fence);
          fences.set(claim.fence, job);
          last.set(job, claim.fence);
          phase = claim.phase;
        }
      }),
    );
  });

  it("that is busy is a conflict, under the code that users know", () => {
    expect(backupInProgress("web-1", one)).toMatchObject({
      kind: "conflict",
      code: "UserErrorBackupOperationInProgress",
    });
  });
});
