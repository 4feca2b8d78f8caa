import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantViolation } from "../../../src/base/assert.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import {
  afterSubTaskEvent,
  hasEnded,
  isCancellable,
  JOB_OPERATIONS,
  type JobKind,
  type JobOperation,
  newSubTasks,
  refusalToCancel,
  SUB_TASK_EVENTS,
  SUB_TASK_STATUSES,
  SUB_TASK_TRANSITIONS,
  type SubTask,
  type SubTaskStatus,
  shownStatus,
  shownSubTasks,
  statusOfJob,
} from "../../../src/domain/job.ts";

const backup = (snapshot: SubTaskStatus, transfer: SubTaskStatus): SubTask[] => [
  { name: "Take Snapshot", status: snapshot },
  { name: "Transfer data to vault", status: transfer },
];

const KINDS: readonly JobKind[] = [
  ...(["RestoreDisks", "AlternateLocation", "OriginalLocation"] as const).map(
    (recoveryType) => ({ operation: "Restore", recoveryType }) as const,
  ),
  ...JOB_OPERATIONS.filter((operation) => operation !== "Restore").map((operation) => ({ operation })),
];

describe("the status of a backup job", () => {
  it.each([
    ["NotStarted", "NotStarted", "InProgress"],
    ["InProgress", "NotStarted", "InProgress"],
    ["Completed", "InProgress", "InProgress"],
    ["Completed", "NotStarted", "InProgress"],
    ["Completed", "Skipped", "Completed"],
    ["Completed", "Completed", "Completed"],
    ["Completed", "Failed", "CompletedWithWarnings"],
    ["Failed", "Failed", "Failed"],
    ["Cancelled", "Cancelled", "Cancelled"],
    ["Completed", "Cancelled", "CompletedWithWarnings"],
  ] as const)("with the snapshot %s and the transfer %s is %s", (snapshot, transfer, status) => {
    expect(statusOfJob(backup(snapshot, transfer), false)).toBe(status);
  });

  it("that is asked to end is Cancelling, until it has ended", () => {
    expect(statusOfJob(backup("InProgress", "NotStarted"), true)).toBe("Cancelling");
    expect(statusOfJob(backup("Completed", "InProgress"), true)).toBe("Cancelling");
    expect(statusOfJob(backup("Completed", "Completed"), true)).toBe("Completed");
  });

  it("is refused for what no backup comes to: 10 of the 36 pairs exist", () => {
    const pairs = SUB_TASK_STATUSES.flatMap((one) => SUB_TASK_STATUSES.map((other) => backup(one, other)));
    const exist = pairs.filter((pair) => {
      try {
        return statusOfJob(pair, false);
      } catch {
        return false;
      }
    });
    expect(exist).toHaveLength(10);
  });
});

describe("the sub-tasks of a job", () => {
  it("have an answer for every event in every status", () => {
    for (const status of SUB_TASK_STATUSES) {
      expect(Object.keys(SUB_TASK_TRANSITIONS[status]).sort()).toEqual([...SUB_TASK_EVENTS].sort());
    }
  });

  it("whatever happens to them, give a status; an ended job stays as it ended, whoever comes late or twice", () => {
    const event = fc.tuple(fc.nat(1), fc.constantFrom(...SUB_TASK_EVENTS));
    fc.assert(
      fc.property(fc.constantFrom(...KINDS), fc.array(event, { maxLength: 12 }), (kind, events) => {
        let tasks: readonly SubTask[] = newSubTasks(kind);
        for (const [at, what] of events) {
          const before = statusOfJob(tasks, false);
          try {
            tasks = afterSubTaskEvent(tasks, ((tasks[at] ?? tasks[0]) as SubTask).name, what);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(InvariantViolation);
          }
          const after = statusOfJob(tasks, false);
          if (hasEnded(before)) expect(after).toBe(before);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("end with the one that fails: a transfer whose snapshot failed never seems to wait", () => {
    const started = afterSubTaskEvent(newSubTasks({ operation: "Backup" }), "Take Snapshot", "start");
    expect(afterSubTaskEvent(started, "Take Snapshot", "fail")).toEqual(backup("Failed", "Failed"));
    expect(afterSubTaskEvent(started, "Take Snapshot", "cancel")).toEqual(backup("Cancelled", "Cancelled"));
    const failed = afterSubTaskEvent(backup("Completed", "InProgress"), "Transfer data to vault", "fail");
    expect(failed).toEqual(backup("Completed", "Failed"));
  });

  it("start in order, and a start that comes late starts nothing", () => {
    expect(() => afterSubTaskEvent(backup("InProgress", "NotStarted"), "Transfer data to vault", "start")).toThrow(
      "before",
    );
    expect(afterSubTaskEvent(backup("Failed", "Failed"), "Take Snapshot", "start")).toEqual(backup("Failed", "Failed"));
  });

  it("are not shown where clients expect none", () => {
    const shown = KINDS.map((kind) => [kind.operation, shownSubTasks(newSubTasks(kind)).length]);
    expect(shown.filter(([, count]) => count !== 0).map(([operation]) => operation)).toEqual([
      "Restore",
      "Restore",
      "Restore",
      "Backup",
    ]);
  });
});

it("A job of one piece of work is what its work is", () => {
  const statuses = (["NotStarted", "InProgress", "Completed", "Failed", "Cancelled"] as const).map((status) =>
    statusOfJob([{ name: "Work", status }], false),
  );
  expect(statuses).toEqual(["InProgress", "InProgress", "Completed", "Failed", "Cancelled"]);
});

describe("cancelling", () => {
  const codeFor = (operation: JobOperation, tasks: readonly SubTask[], isCancelRequested = false) =>
    refusalToCancel({ operation, tasks, status: statusOfJob(tasks, isCancelRequested) })?.code;

  it("is possible while a backup takes its snapshot and while it transfers", () => {
    expect(codeFor("Backup", backup("InProgress", "NotStarted"))).toBeUndefined();
    expect(codeFor("Backup", backup("Completed", "InProgress"))).toBeUndefined();
  });

  it("of a restore is possible until it creates a machine or replaces disks", () => {
    const restore = (transfer: SubTaskStatus, then: SubTaskStatus): SubTask[] => [
      { name: "Transfer data from vault", status: transfer },
      { name: "Create the restored virtual machine", status: then },
    ];
    expect(codeFor("Restore", restore("InProgress", "NotStarted"))).toBeUndefined();
    expect(codeFor("Restore", restore("Completed", "InProgress"))).toBe("HoldfastJobNotInCancellableState");
  });

  it("is refused with its reason: the kind of job, or that it is over or asked to end already", () => {
    expect(codeFor("ConfigureBackup", [{ name: "Work", status: "InProgress" }])).toBe("HoldfastJobTypeNotCancellable");
    expect(codeFor("Backup", backup("Completed", "Completed"))).toBe("HoldfastJobNotInProgress");
    expect(codeFor("Backup", backup("Completed", "InProgress"), true)).toBe("HoldfastJobNotInProgress");
    expect(refusalToCancel({ operation: "Undelete", status: "InProgress", tasks: [] })).toBeInstanceOf(HoldfastFailure);
    expect(isCancellable({ operation: "Backup", status: "InProgress", tasks: [] })).toBe(true);
  });
});

describe("the status that clients see", () => {
  it.each([
    ["Completed", "InProgress"],
    ["CompletedWithWarnings", "InProgress"],
    ["Failed", "InProgress"],
    ["Cancelled", "Cancelling"],
    ["InProgress", "InProgress"],
    ["Cancelling", "Cancelling"],
  ] as const)("is not %s before the job has ended, but %s", (status, shown) => {
    expect(shownStatus({ status, endedAt: null })).toBe(shown);
    expect(shownStatus({ status, endedAt: "2026-01-01T00:00:00Z" })).toBe(status);
  });
});
