// What a machine's state means for the consistency of its snapshot: the facts as the domain wants them, and its words as
// rows and manifests have them.

import type { ItemBody } from "../control/rows/item-row.ts";
import type { BackupWork } from "../control/rows/job-row.ts";
import {
  bestOf,
  type Consistency,
  type ConsistencyDecision,
  decideConsistency,
  explainOutcome,
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

const DOMAIN_WORDS: Readonly<Record<RowConsistency, Consistency>> = {
  application: "ApplicationConsistent",
  "file-system": "FileSystemConsistent",
  crash: "CrashConsistent",
};

/** What the platform says it became; a reason is recorded whenever it is not the best there is. */
export function recordGuest(
  { asksForCrashConsistent, machine, consistencyReason }: BackupWork,
  actual: RowConsistency,
): Pick<BackupWork, "consistency" | "consistencyReason"> {
  const expected = asksForCrashConsistent ? "CrashConsistent" : bestOf(machine?.osType ?? "Windows");
  const reason = explainOutcome(DOMAIN_WORDS[actual], expected, consistencyReason);
  return { consistency: actual, consistencyReason: reason };
}
