// What a job remembers of its progress: forward only, and since when its bytes move.

import { beforeEach, describe, expect, it } from "vitest";
import { changeProgress, planProgress } from "../../../src/activities/progress.ts";
import type { ControlDeps } from "../../../src/control/control-deps.ts";
import { readJob } from "../../../src/control/job-changes.ts";
import { newJob } from "../../../src/control/new-job.ts";
import { JOB_ROWS, jobPlace, newBackupWork } from "../../../src/control/rows/job-row.ts";
import { jobIdOf } from "../../../src/domain/job-id.ts";
import { MemoryTableStore } from "../../support/memory-table-store.ts";
import { itemBody, VAULT } from "../../support/service-rows.ts";

const at = (time: string): Date => new Date(`2026-03-01T${time}Z`);
const ID = jobIdOf({ kind: "Backup", subject: "vm-1", at: at("02:00:00"), nonce: "1" });
const REF = { vault: VAULT, job: ID };
const NEW_JOB = newJob({
  ...{ id: ID, kind: { operation: "Backup" }, isUserTriggered: true, now: at("02:00:00") },
  subject: itemBody("vm-1", "2026-02-01T00:00:00.000Z"),
  work: {
    backup: newBackupWork({
      ...{ scheduledAt: null, policy: null, isCatchUp: false, retainUntil: null, tags: [], goesToVault: true },
      ...{ snapshotGroup: { prefix: "", suffix: "" }, pointId: "point" },
    }),
  },
});

let deps: ControlDeps;
const remember = (progress: object): Promise<unknown> =>
  deps.tables.insert(JOB_ROWS.table, { ...jobPlace(VAULT, ID), body: { ...NEW_JOB, progress } });
const remembered = async (): Promise<unknown> => (await readJob(deps, REF)).progress["0"];
const move = (doneBytes: number, since: string | null) =>
  changeProgress(deps, REF, 0, { doneBytes, totalBytes: 1_000, since: since === null ? null : at(since) });

beforeEach(() => {
  deps = { tables: new MemoryTableStore() } as unknown as ControlDeps;
});

describe("progress", () => {
  it("does not begin to move when it is planned, but with the first step that moves bytes", async () => {
    await remember({});
    await planProgress(deps, REF, 0, 1_000);
    expect(await remembered()).toEqual({ doneBytes: 0, totalBytes: 1_000, moving: null });
    await move(100, "05:00:00");
    await move(300, "05:01:00");
    const moving = { since: "2026-03-01T05:00:00.000Z", fromBytes: 0 };
    expect(await remembered()).toEqual({ doneBytes: 300, totalBytes: 1_000, moving });
  });

  it("goes forward only, whichever step comes late", async () => {
    await remember({});
    await move(300, "05:00:00");
    await move(100, "04:00:00");
    expect(await remembered()).toMatchObject({ doneBytes: 300, moving: { since: "2026-03-01T05:00:00.000Z" } });
  });

  it("counts anew when the job is taken up again, from what its earlier life has done", async () => {
    await remember({});
    await move(300, "05:00:00");
    await planProgress(deps, REF, 0, 1_000);
    expect(await remembered()).toEqual({ doneBytes: 300, totalBytes: 1_000, moving: null });
    await move(300, "09:00:00");
    await move(400, "09:00:10");
    const moving = { since: "2026-03-01T09:00:10.000Z", fromBytes: 300 };
    expect(await remembered()).toEqual({ doneBytes: 400, totalBytes: 1_000, moving });
  });

  it("has no time for bytes that the platform moved", async () => {
    await remember({});
    await move(1_000, null);
    expect(await remembered()).toEqual({ doneBytes: 1_000, totalBytes: 1_000, moving: null });
  });

  it("of a row from before it knew of time goes on from there", async () => {
    await remember({ "0": { doneBytes: 600, totalBytes: 1_000 } });
    expect(await remembered()).toEqual({ doneBytes: 600, totalBytes: 1_000, moving: null });
    await move(700, "05:00:00");
    expect(await remembered()).toMatchObject({ moving: { fromBytes: 600 } });
  });
});
