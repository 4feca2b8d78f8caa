// Why Azure would not take a snapshot, in the words that users of Azure Backup know (src/domain/failure-catalog.ts tells
// what each means). Azure says it in codes and sentences of its own, sometimes at once and sometimes in the failed point.

import { HoldfastFailure } from "../base/failure.ts";
import type { CatalogCode } from "../domain/failure-catalog.ts";

interface KnownReason {
  /** Of Azure's code, or its message. */
  readonly pattern: RegExp;
  readonly code: CatalogCode;
}

/** The first that fits counts. */
const KNOWN_REASONS: readonly KnownReason[] = [
  {
    pattern: /number of restore points .*cannot exceed|RestorePointCollection\w*Limit/i,
    code: "UserErrorRpCollectionLimitReached",
  },
  {
    pattern: /snapshots? .*(?:limit|cannot exceed)|SnapshotCountExceeded/i,
    code: "ExtensionFailedSnapshotLimitReachedError",
  },
  {
    pattern: /VMAgentStatusCommunicationError|VMAgent\w*Error|guest ?agent .*(?:not ready|unable)/i,
    code: "UserErrorGuestAgentStatusUnavailable",
  },
  { pattern: /OsSnapshotWriteError|VSS writers? in bad state/i, code: "ExtensionFailedVssWriterInBadState" },
  { pattern: /ScriptsExecutionFailed|FsFreeze/i, code: "UserErrorFsFreezeFailed" },
  { pattern: /RequestDisallowedByPolicy/i, code: "UserErrorRequestDisallowedByPolicy" },
  {
    pattern: /provisioning state .*failed|VMProvisioningStateFailed|VMInFailedState/i,
    code: "UserErrorVmProvisioningStateFailed",
  },
  {
    pattern:
      /\bin transition\b|being (?:deleted|updated|deallocated)|not in (?:a )?(?:desirable|running) state|PropertyChangeNotAllowed.*VM/i,
    code: "UserErrorVmNotInDesirableState",
  },
  { pattern: /source (?:virtual machine )?.*(?:is not found|does not exist)/i, code: "BCMV2VMNotFound" },
];

/** The code under which users know a reason; Azure's own where they know none. */
export function snapshotCode(code: string, message: string): string {
  const text = `${code} ${message}`;
  return KNOWN_REASONS.find(({ pattern }) => pattern.test(text))?.code ?? code;
}

/** A refusal of Azure's under the code that users know. What a retry may cure stays as it is. */
export function snapshotFailure(thrown: unknown): unknown {
  if (!(thrown instanceof HoldfastFailure) || RETRIED.has(thrown.kind)) return thrown;
  const code = snapshotCode(thrown.code, thrown.message);
  if (code === thrown.code) return thrown;
  return new HoldfastFailure(thrown.kind, code, thrown.message, { cause: thrown });
}

const RETRIED = new Set(["throttled", "unavailable"]);
