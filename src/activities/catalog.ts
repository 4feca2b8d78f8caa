// Every activity by the name of its contract. What the platform wants patience for becomes an answer here, so that the
// orchestration waits as long as it was asked to, instead of counting it as a failed attempt.

import * as contracts from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../base/failure.ts";
import { runItemJob } from "../control/item-jobs.ts";
import { startBackups } from "../control/policy-runs.ts";
import { giveUpPhase } from "./give-up.ts";
import { closeJob, openJob } from "./jobs.ts";
import { claimPhase } from "./phases.ts";
import { addPoint } from "./points.ts";
import { beginRestore, cleanRestore, writeRestoreFiles } from "./restore.ts";
import { beginSnapshot, checkSnapshot } from "./snapshot.ts";
import { beginTargetDisk, checkTargetDisk, finishTargetDisk, planRestore, restoreSlice } from "./target-disk.ts";
import { beginTransfer, commitTransfer, endTransfer, planDisk, sealDisk, writeSlice } from "./transfer.ts";
import type { ActivityDeps } from "./transfer-session.ts";

export type RunActivity = (deps: ActivityDeps, input: never) => Promise<unknown>;

/** The platform names no time, or too short a one. */
const SHORTEST_WAIT_MS = 1_000;

export const ACTIVITIES: Readonly<Record<string, RunActivity>> = Object.fromEntries([
  activity(contracts.OPEN_JOB, openJob),
  activity(contracts.CLOSE_JOB, closeJob),
  activity(contracts.CLAIM_PHASE, claimPhase),
  activity(contracts.BEGIN_SNAPSHOT, beginSnapshot),
  activity(contracts.CHECK_SNAPSHOT, checkSnapshot),
  activity(contracts.ADD_POINT, addPoint),
  activity(contracts.BEGIN_TRANSFER, beginTransfer),
  activity(contracts.PLAN_DISK, planDisk),
  activity(contracts.WRITE_SLICE, writeSlice),
  activity(contracts.SEAL_DISK, sealDisk),
  activity(contracts.COMMIT_TRANSFER, commitTransfer),
  activity(contracts.GIVE_UP_PHASE, giveUpPhase),
  activity(contracts.END_TRANSFER, endTransfer),
  activity(contracts.BEGIN_RESTORE, beginRestore),
  activity(contracts.BEGIN_TARGET_DISK, beginTargetDisk),
  activity(contracts.CHECK_TARGET_DISK, checkTargetDisk),
  activity(contracts.PLAN_RESTORE, planRestore),
  activity(contracts.RESTORE_SLICE, restoreSlice),
  activity(contracts.FINISH_TARGET_DISK, finishTargetDisk),
  activity(contracts.WRITE_RESTORE_FILES, writeRestoreFiles),
  activity(contracts.CLEAN_RESTORE, cleanRestore),
  activity(contracts.RUN_ITEM_JOB, runItemJob),
  activity(contracts.START_BACKUPS, startBackups),
]);

function activity<Input, Output>(
  contract: contracts.ActivityContract<Input, Output>,
  run: (deps: ActivityDeps, input: Input) => Promise<Output>,
): [string, RunActivity] {
  return [contract.name, (deps, input) => withPatience(() => run(deps, input))];
}

async function withPatience<Output>(run: () => Promise<Output>): Promise<Output | contracts.Throttled> {
  try {
    return await run();
  } catch (cause) {
    if (!(cause instanceof HoldfastFailure) || cause.kind !== "throttled") throw cause;
    return { retryAfterMs: Math.max(SHORTEST_WAIT_MS, cause.retryAfterMs ?? 0) };
  }
}
