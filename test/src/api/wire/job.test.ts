// What a job that is under way tells of its progress.

import { describe, expect, it } from "vitest";
import { renderJob } from "../../../../src/api/wire/job.ts";
import { newJob } from "../../../../src/control/new-job.ts";
import type { JobBody } from "../../../../src/control/rows/job-row.ts";
import { jobIdOf } from "../../../../src/domain/job-id.ts";
import { itemBody } from "../../../support/service-rows.ts";

const MB = 1024 * 1024;
const at = (time: string): Date => new Date(`2026-03-01T${time}Z`);
const NEW_JOB = newJob({
  ...{ id: jobIdOf({ kind: "Backup", subject: "vm-1", at: at("02:00:00"), nonce: "1" }), now: at("02:00:00") },
  ...{ kind: { operation: "Backup" }, isUserTriggered: true, work: { backup: null } },
  subject: itemBody("vm-1", "2026-02-01T00:00:00.000Z"),
});
const [SNAPSHOT, TRANSFER] = NEW_JOB.tasks as [JobBody["tasks"][number], JobBody["tasks"][number]];
const transferring = (status: JobBody["tasks"][number]["status"], progress: JobBody["progress"]): JobBody => ({
  ...NEW_JOB,
  tasks: [
    { ...SNAPSHOT, status: "Completed" },
    { ...TRANSFER, status, startedAt: at("02:01:00").toISOString() },
  ],
  progress,
});
/** It waited three hours for its turn. */
const MOVING = {
  doneBytes: 50 * MB,
  totalBytes: 200 * MB,
  moving: { since: at("05:00:00").toISOString(), fromBytes: 0 },
};
const extendedInfoOf = (job: JobBody): unknown =>
  (renderJob("/v", job, at("05:00:20")) as { properties: { extendedInfo: unknown } }).properties.extendedInfo;

describe("a job that transfers", () => {
  it("tells bytes, rate and time left, whatever it has waited for", () => {
    expect(extendedInfoOf(transferring("InProgress", { "0": MOVING }))).toMatchObject({
      tasksList: [{ taskId: "Take Snapshot" }, { taskId: "Transfer data to vault", progressPercentage: 25 }],
      ...{ progressPercentage: 25, estimatedRemainingDuration: "PT1M0S" },
      ...{ doneBytes: 50 * MB, totalBytes: 200 * MB, bytesPerSecond: 2.5 * MB },
      propertyBag: { "VM Name": "vm-1", "Data Transferred": "50.0 MB of 200.0 MB", "Transfer Rate": "2.5 MB/s" },
    });
  });

  it("tells no rate and no time left before anything has moved, or when it only cleans up", () => {
    const waiting = transferring("InProgress", { "0": { ...MOVING, doneBytes: 0, moving: null } });
    for (const job of [waiting, transferring("Failed", { "0": MOVING })]) {
      expect(extendedInfoOf(job)).not.toHaveProperty("estimatedRemainingDuration");
      expect(extendedInfoOf(job)).not.toHaveProperty("bytesPerSecond");
      expect(extendedInfoOf(job)).not.toHaveProperty(["propertyBag", "Transfer Rate"]);
    }
  });

  it("tells nothing of it before there is anything to do, and when it has ended", () => {
    const ended = { ...transferring("Completed", { "0": MOVING }), endedAt: at("05:00:10").toISOString() };
    for (const job of [NEW_JOB, ended]) {
      expect(extendedInfoOf(job)).not.toHaveProperty("progressPercentage");
      expect(extendedInfoOf(job)).not.toHaveProperty(["propertyBag", "Data Transferred"]);
    }
  });
});
