// What a client says when it asks for a backup now.

import { z } from "zod";
import { oneOf, optional, time } from "./text.ts";

export interface BackupWish {
  /** When the point expires; absent: the service's default. */
  readonly retainUntil: Date | undefined;
}

export const backupBody: z.ZodType<BackupWish> = z
  .object({
    properties: z.object({
      objectType: oneOf(["IaasVMBackupRequest"]),
      recoveryPointExpiryTimeInUTC: optional(time),
    }),
  })
  .transform(({ properties }) => ({ retainUntil: properties.recoveryPointExpiryTimeInUTC }));
