// Schedules become backups: every machine once for every instant, whatever becomes of ticks, dispatchers and runs.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dispatch, resumeRuns } from "../../src/control/dispatch.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import { changeRow } from "../../src/control/rows/row-kind.ts";
import { MARK_ROWS, markPlace, type OccurrenceBody, occurrencePlace } from "../../src/control/rows/work-rows.ts";
import type { Policy } from "../../src/domain/policy.ts";
import { MemoryCloud, memoryDisk } from "../support/memory-cloud.ts";
import { DAILY, TestService, VAULT } from "../support/service.ts";
import { machineIdOf } from "../support/service-rows.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const HOURLY: Policy = {
  ...DAILY,
  type: "V2",
  schedule: { frequency: "Hourly", windowStart: { hour: 8, minute: 0 }, intervalHours: 4, windowHours: 12 },
};
let cloud: MemoryCloud;
let service: TestService;

beforeEach(async () => {
  cloud = new MemoryCloud();
  service = await TestService.start(cloud, { chunkBytes: 64 * 1024 });
});

afterEach(async () => {
  await service.close();
});

async function protect(name: string) {
  cloud.addMachine(machineIdOf(name), [memoryDisk(`${name}-os`, 256 * 1024, 1)]);
  return service.protect(name);
}

/** Ticks once a minute, as the timer does, until so much time has passed. */
async function tickFor(ms: number): Promise<void> {
  for (const untilMs = service.now().getTime() + ms; service.now().getTime() < untilMs; ) {
    await dispatch(service.deps);
    await service.pass(MINUTE_MS);
  }
}

const runs = async (): Promise<(string | null | undefined)[]> =>
  (await service.jobs()).map(({ backup }) => backup?.scheduledAt).reverse();

const occurrences = (): OccurrenceBody[] => service.tables.bodiesOf("occurrences") as OccurrenceBody[];

async function moveTo(instant: string): Promise<void> {
  await service.pass(Date.parse(instant) - service.now().getTime());
}

/** How many orchestrations come of a tick that begins where the mark is put. */
async function startsOfTickFrom(at: string): Promise<number> {
  await changeRow(service.tables, MARK_ROWS, markPlace("dispatch"), () => ({ at }));
  let starts = 0;
  service.onCall = (call, perform) => {
    if (call === "workflow.start") starts++;
    return perform();
  };
  await dispatch(service.deps);
  await service.pass(MINUTE_MS);
  return starts;
}

describe("A daily policy", () => {
  it("backs each machine up once a day, at the instant and not before", async () => {
    await protect("vm-1");
    await protect("vm-2");
    await moveTo("2026-03-01T01:55:00Z");
    await tickFor(10 * MINUTE_MS);
    const jobs = await service.jobs();
    expect(jobs.map(({ status }) => status)).toEqual(["Completed", "Completed"]);
    for (const { startedAt, backup } of jobs) {
      expect(backup).toMatchObject({ scheduledAt: "2026-03-01T02:00:00.000Z", isCatchUp: false, tags: ["Daily"] });
      expect(Date.parse(startedAt) - Date.parse("2026-03-01T02:00:00Z")).toBeGreaterThanOrEqual(0);
      expect(Date.parse(startedAt) - Date.parse("2026-03-01T02:00:00Z")).toBeLessThan(MINUTE_MS);
    }
  });

  it("runs once when two ticks come at once", async () => {
    await protect("vm-1");
    await moveTo("2026-03-01T01:59:00Z");
    await Promise.all([dispatch(service.deps), dispatch(service.deps)]);
    await service.pass(5 * MINUTE_MS);
    expect(await runs()).toEqual(["2026-03-01T02:00:00.000Z"]);
    expect(occurrences()).toHaveLength(1);
  });

  it.each([
    ["on time", "2026-03-01T02:01:00Z"],
    ["to be caught up with", "2026-03-01T02:30:00Z"],
  ])("does not run again when its instant is expanded once more, %s, after it has completed", async (_how, again) => {
    await protect("vm-1");
    await moveTo("2026-03-01T01:59:00Z");
    await dispatch(service.deps);
    await moveTo(again);
    const jobs = await service.jobs();
    expect(jobs.map(({ status, endedAt }) => [status, endedAt !== null])).toEqual([["Completed", true]]);
    const standing = occurrences();
    expect(standing).toMatchObject([{ scheduledAt: "2026-03-01T02:00:00.000Z", startedAt: expect.any(String) }]);
    expect(await startsOfTickFrom("2026-03-01T01:59:00.000Z")).toBe(0);
    expect(await service.jobs()).toEqual(jobs);
    expect(occurrences()).toEqual(standing);
    // The same tick without the row starts the run: it did come to this instant before, and the row alone kept it.
    const { partition, key } = occurrencePlace(VAULT, "Daily", "2026-03-01T02:00:00.000Z");
    await service.tables.remove("occurrences", partition, key);
    expect(await startsOfTickFrom("2026-03-01T01:59:00.000Z")).toBe(1);
    // And the row of the backup keeps even that run from a second one.
    expect(await service.jobs()).toEqual(jobs);
  });

  it("catches up with the latest of many missed days, flagged, and with no other", async () => {
    const item = await protect("vm-1");
    await dispatch(service.deps);
    await moveTo("2026-03-05T09:17:00Z");
    await tickFor(5 * MINUTE_MS);
    expect(await runs()).toEqual(["2026-03-05T02:00:00.000Z"]);
    expect((await service.jobs())[0]?.backup?.isCatchUp).toBe(true);
    expect((await service.points(item))[0]).toMatchObject({ isCatchUp: true, tags: ["Daily"] });
  });

  it("does not catch up for machines that were protected after the instant", async () => {
    await dispatch(service.deps);
    await moveTo("2026-03-01T09:00:00Z");
    await protect("vm-1");
    await tickFor(5 * MINUTE_MS);
    expect(await runs()).toEqual([]);
  });

  it("runs at its new time after an edit, also when a tick has looked beyond it already", async () => {
    await protect("vm-1");
    await moveTo("2026-03-01T01:58:50Z");
    await dispatch(service.deps);
    await service.pass(30_000);
    await service.writePolicy("Daily", { ...DAILY, schedule: { frequency: "Daily", time: { hour: 2, minute: 1 } } });
    await tickFor(5 * MINUTE_MS);
    // Of 02:00 there is no run any more; it was started, and found no such instant in the policy.
    expect(await runs()).toEqual(["2026-03-01T02:01:00.000Z"]);
  });

  it("goes on with the others when one policy cannot be read", async () => {
    await protect("vm-1");
    await service.writePolicy("Broken", { ...DAILY, timeZone: "Nowhere/At_all" });
    await moveTo("2026-03-01T01:59:00Z");
    await expect(dispatch(service.deps)).rejects.toThrow();
    await service.pass(5 * MINUTE_MS);
    expect(await runs()).toEqual(["2026-03-01T02:00:00.000Z"]);
  });
});

describe("A policy that runs by the hour", () => {
  it("brings only the day's last point into the vault; the others live as snapshots", async () => {
    await service.writePolicy("Daily", HOURLY);
    const item = await protect("vm-1");
    for (const hour of ["08", "12", "16"]) {
      await moveTo(`2026-03-01T${hour}:00:00Z`);
      await dispatch(service.deps);
      await service.pass(3 * MINUTE_MS);
    }
    const points = (await service.points(item)).reverse();
    expect(points.map(({ scheduledAt }) => scheduledAt)).toEqual(
      ["08", "12", "16"].map((hour) => `2026-03-01T${hour}:00:00.000Z`),
    );
    expect(points.map(({ archive }) => archive !== null)).toEqual([false, false, true]);
    expect(points.map(({ tags }) => tags)).toEqual([[], [], ["Daily"]]);
    expect((await service.jobs()).map(({ status }) => status)).toEqual(["Completed", "Completed", "Completed"]);
  });
});

describe("The day on which clocks change", () => {
  it.each([
    // 02:30 does not exist: the first instant after the gap. And 02:30 comes twice: the first of the two.
    ["2026-03-29T00:00:00Z", ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]],
    ["2026-10-25T00:00:00Z", ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]],
  ])("has one run: %s", async (from, expected) => {
    await service.writePolicy("Daily", {
      ...DAILY,
      timeZone: "Europe/Berlin",
      schedule: { frequency: "Daily", time: { hour: 2, minute: 30 } },
    });
    await protect("vm-1");
    await moveTo(from);
    await dispatch(service.deps);
    for (let quarter = 0; quarter < 26 * 4; quarter++) {
      await service.pass(HOUR_MS / 4);
      await dispatch(service.deps);
      await service.pass(0);
    }
    expect(await runs()).toEqual(expected);
  });
});

describe("A run of many machines", () => {
  it("starts each of 250 once, in batches, also when it is cut off in the middle and taken up again", async () => {
    // Their machines are gone: each job fails at once, and says so.
    for (let number = 0; number < 250; number++) await service.protect(`vm-${String(number).padStart(3, "0")}`);
    await moveTo("2026-03-01T01:59:00Z");
    await dispatch(service.deps);
    let starts = 0;
    service.onCall = async (call, perform) => {
      if (call === "workflow.start" && ++starts === 150) service.kill();
      return perform();
    };
    await service.pass(MINUTE_MS + 5_000);
    expect(service.crashes).toBe(1);
    // And its orchestration is ended for good, between two batches.
    service.onCall = (_call, perform) => perform();
    await service.untilAllEnded();
    await resumeRuns(service.deps, VAULT);
    const jobs = await service.untilAllEnded();
    expect(jobs).toHaveLength(250);
    expect(new Set(jobs.map(({ item }: JobBody) => item)).size).toBe(250);
    expect(new Set(jobs.map(({ failure }) => failure?.code))).toEqual(new Set(["BCMV2VMNotFound"]));
    expect(occurrences()[0]?.startedAt).not.toBeNull();
    const item = await service.item({ name: jobs[0]?.item ?? "" } as never);
    expect(item).toMatchObject({ state: "ProtectionError", lastBackup: { status: "Failed" } });
  });

  it("is taken up by the reconciler when its orchestration was ended before all were started", async () => {
    await protect("vm-1");
    await moveTo("2026-03-01T01:59:00Z");
    let run = "";
    const { workflow } = service.deps;
    const start: typeof workflow.start = (name, id, input) => {
      run = id;
      return workflow.start(name, id, input);
    };
    await dispatch({ ...service.deps, workflow: { ...workflow, start, stateOf: (id) => workflow.stateOf(id) } });
    await service.hub.hub.client.send(run, { kind: "terminate", reason: "an operator ended it" });
    await moveTo("2026-03-01T02:10:00Z");
    expect(await runs()).toEqual([]);
    expect(await resumeRuns(service.deps, VAULT)).toBe(1);
    await service.pass(MINUTE_MS);
    expect(await runs()).toEqual(["2026-03-01T02:00:00.000Z"]);
    expect((await service.jobs())[0]?.backup?.isCatchUp).toBe(true);
    expect(await resumeRuns(service.deps, VAULT)).toBe(0);
  });
});
