// Every orchestration by its name. What registers them, and what tests run them, takes them from here.

import type { OrchestrationContext } from "durable-functions";
import { backup } from "./backup.ts";
import { BACKUP, ITEM_JOB, POLICY_RUN, RESTORE, RESTORE_DISK, TRANSFER_DISK } from "./contracts.ts";
import { itemJob } from "./item-job.ts";
import { policyRun } from "./policy-run.ts";
import { restore } from "./restore.ts";
import { restoreDisk } from "./restore-disk.ts";
import type { Steps } from "./steps.ts";
import { transferDisk } from "./transfer-disk.ts";

export const ORCHESTRATIONS: Readonly<Record<string, (context: OrchestrationContext) => Steps<unknown>>> = {
  [BACKUP.name]: backup,
  [TRANSFER_DISK.name]: transferDisk,
  [RESTORE.name]: restore,
  [RESTORE_DISK.name]: restoreDisk,
  [ITEM_JOB.name]: itemJob,
  [POLICY_RUN.name]: policyRun,
};
