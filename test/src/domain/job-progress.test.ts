// How far the disks of a job are, and how fast.

import { describe, expect, it } from "vitest";
import { type DiskProgress, paceOf, progressOf } from "../../../src/domain/job-progress.ts";

const at = (time: string): Date => new Date(`2026-03-01T${time}Z`);
const disk = (doneBytes: number, totalBytes: number, since?: string, fromBytes = 0): DiskProgress => ({
  doneBytes,
  totalBytes,
  moving: since === undefined ? null : { since: at(since).toISOString(), fromBytes },
});

describe("progress", () => {
  it("is that of all disks, rounded down", () => {
    expect(progressOf([disk(299, 300), disk(0, 700)])).toEqual({ doneBytes: 299, totalBytes: 1_000, percent: 29 });
  });

  it("is whole when there is nothing to do, and unknown before that is known", () => {
    expect(progressOf([disk(0, 0)])?.percent).toBe(100);
    expect(progressOf([])).toBeUndefined();
  });

  it("never exceeds what there is to do", () => {
    expect(progressOf([disk(12, 10)])).toEqual({ doneBytes: 10, totalBytes: 10, percent: 100 });
  });
});

describe("the pace", () => {
  it("counts from when bytes began to move", () => {
    // A fifth in ten seconds: forty more for the rest.
    const pace = paceOf([disk(2_000, 10_000, "05:00:00")], at("05:00:10"));
    expect(pace).toEqual({ bytesPerSecond: 200, remainingMs: 40_000 });
  });

  it("is that of all disks together, from the first that moved, and knows of what waits", () => {
    const disks = [disk(3_000, 3_000, "05:00:00"), disk(1_000, 5_000, "05:00:05"), disk(0, 4_000)];
    expect(paceOf(disks, at("05:00:10"))).toEqual({ bytesPerSecond: 400, remainingMs: 20_000 });
  });

  it("leaves out what was done before, by an earlier life of the job or by the platform", () => {
    const disks = [disk(9_000, 20_000, "05:00:00", 8_000), disk(50_000, 50_000)];
    expect(paceOf(disks, at("05:00:10"))).toEqual({ bytesPerSecond: 100, remainingMs: 110_000 });
  });

  it.each([
    ["nothing has moved", [disk(0, 10_000)], "05:00:10"],
    ["what moved was moved by others", [disk(10, 10_000)], "05:00:10"],
    ["no time has passed", [disk(10, 10_000, "05:00:10")], "05:00:10"],
    ["the clock has jumped back", [disk(10, 10_000, "05:00:10")], "05:00:00"],
    ["nothing is left", [disk(10, 10, "05:00:00")], "05:00:10"],
    ["there is nothing to do", [], "05:00:10"],
  ])("is not told when %s", (_case, disks, time) => {
    expect(paceOf(disks, at(time))).toBeUndefined();
  });
});
