// What a short job makes of its item: decided and written down when it is asked for, carried out by the job. Each is a
// plain assignment, so that carrying it out twice comes to the same.

import { z } from "zod";
import { HoldfastFailure } from "../base/failure.ts";
import type { JobOperation } from "../domain/job.ts";
import { diskChoice, instant } from "./rows/fields.ts";
import type { JobBody } from "./rows/job-row.ts";

const itemChange = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("enable"), policy: z.string(), disks: diskChoice }),
  /** Another policy or other disks; a stopped item is resumed by it. */
  z.object({ kind: z.literal("configure"), policy: z.string(), disks: diskChoice }),
  z.object({ kind: z.literal("stop") }),
  z.object({ kind: z.literal("suspend") }),
  z.object({ kind: z.literal("undelete") }),
  z.object({ kind: z.literal("soft-delete"), deletedAt: instant, purgeAt: instant }),
  z.object({ kind: z.literal("purge"), deletedAt: instant }),
  /** Of a machine's container, whose job has no item to change. */
  z.object({ kind: z.literal("register"), machineId: z.string() }),
  z.object({ kind: z.literal("unregister"), machineId: z.string() }),
]);

export type ItemChange = z.infer<typeof itemChange>;

/** Undefined for jobs that are no changes. */
export function parseItemChange(job: JobBody): ItemChange | undefined {
  if (job.change === null) return undefined;
  const parsed = itemChange.safeParse(job.change);
  if (parsed.success) return parsed.data;
  throw new HoldfastFailure("corrupt", "HoldfastRowUnreadable", `What job ${job.id} changes cannot be read`, {
    cause: parsed.error,
  });
}

export const OPERATION_OF: Readonly<Record<ItemChange["kind"], Exclude<JobOperation, "Backup" | "Restore">>> = {
  enable: "ConfigureBackup",
  configure: "ConfigureBackup",
  stop: "DisableBackup",
  suspend: "DisableBackup",
  undelete: "Undelete",
  "soft-delete": "DeleteBackupData",
  purge: "DeleteBackupData",
  register: "Register",
  unregister: "UnRegister",
};
