// Pieces that several kinds of rows share.

import { z } from "zod";

/** RFC 3339, UTC. */
export const instant = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);

export const stepFailure = z.object({ code: z.string(), message: z.string() });

export const collectionRef = z.object({ subscriptionId: z.string(), resourceGroup: z.string(), name: z.string() });

export const snapshotRef = z.object({ collection: collectionRef, name: z.string() });

export const snapshotDisk = z.object({
  lun: z.number().int(),
  name: z.string(),
  sizeBytes: z.number().int(),
  snapshotDiskId: z.string(),
  diskUniqueId: z.string(),
  skuName: z.string(),
});

export const consistency = z.enum(["application", "file-system", "crash"]);

/** Which disks are backed up: all, only these, or all but these; luns, where -1 is the disk with the operating system. */
export const diskChoice = z.object({ kind: z.enum(["all", "only", "except"]), luns: z.array(z.number().int()) });

export const retentionTag = z.enum(["Daily", "Weekly", "Monthly", "Yearly"]);

export const machineKind = z.enum(["resource-manager", "classic"]);

/** What a point says of the machine it is of. */
export const pointMachine = z.object({
  kind: machineKind,
  vmId: z.string(),
  sizeName: z.string(),
  osType: z.enum(["Windows", "Linux"]),
  location: z.string(),
  zones: z.array(z.string()),
  securityType: z.string(),
  attachedDiskCount: z.number().int(),
  excludedDisks: z.array(z.object({ lun: z.number().int(), name: z.string() })),
});
