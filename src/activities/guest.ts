// What a machine's state means for the consistency of its snapshot: the facts as the domain wants them, and its words as
// rows and manifests have them.

import type { ItemBody } from "../control/rows/item-row.ts";
import type { BackupWork } from "../control/rows/job-row.ts";
import {
  type Consistency,
  type ConsistencyDecision,
  decideConsistency,
  explainConsistency,
  type PowerState,
} from "../domain/consistency.ts";
import type { Machine } from "../ports/machines.ts";

type RowConsistency = NonNullable<BackupWork["consistency"]>;

const POWER: Readonly<Record<string, PowerState>> = {
  running: "Running",
  stopped: "Stopped",
  deallocated: "Deallocated",
};

export function decideGuest(machine: Machine, item: ItemBody): ConsistencyDecision {
  const { state, version } = machine.agent;
  return decideConsistency({
    powerState: POWER[machine.power] ?? "InTransition",
    hasFailed: machine.provisioning === "failed",
    osType: machine.osType,
    agent: state === "ready" ? { status: "Ready", version } : { status: state === "absent" ? "Absent" : "NotReady" },
    hasExtension: item.extensionNote === null,
  });
}

const BEST_FIRST: readonly RowConsistency[] = ["application", "file-system", "crash"];

/** What the platform says it became; a reason is recorded whenever it is not the best there is. */
export function recordGuest(
  backup: BackupWork,
  actual: RowConsistency,
): Pick<BackupWork, "consistency" | "consistencyReason"> {
  if (actual === "application") return { consistency: actual, consistencyReason: "" };
  const expected = backup.asksForCrashConsistent
    ? "crash"
    : backup.machine?.osType === "Linux"
      ? "file-system"
      : "application";
  const isWorse = BEST_FIRST.indexOf(actual) > BEST_FIRST.indexOf(expected);
  if (!isWorse) return { consistency: actual, consistencyReason: backup.consistencyReason };
  return { consistency: actual, consistencyReason: explainConsistency("guest-did-not-cooperate") };
}

export const WIRE_CONSISTENCY: Readonly<Record<RowConsistency, Consistency>> = {
  application: "ApplicationConsistent",
  "file-system": "FileSystemConsistent",
  crash: "CrashConsistent",
};
