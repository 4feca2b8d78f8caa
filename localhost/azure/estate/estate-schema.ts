// The estate file: what there is in the simulated Azure when its data folder is new, and how it behaves. YAML or JSON.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import { faultRuleSchema } from "../faults/fault-plan.ts";
import { principalSchema } from "../identity/principals.ts";
import { keyVaultSchema } from "../keys/key-store.ts";
import { workloadSchema } from "../life/workload.ts";

const generated = z.strictObject({
  seed: z.string().min(1).optional(),
  sizeGiB: z.number().int().min(1).max(32_767),
  allocatedMiB: z.number().int().min(0),
});

/** Generated content, or a raw disk image (or fixed VHD) at a path of this machine. */
const imageSchema = z.union([z.strictObject({ generated }), z.strictObject({ path: z.string().min(1) })]);

const dataDiskSchema = z.strictObject({
  sizeGiB: z.number().int().min(1).max(32_767).optional(),
  /** Of generated content; an empty disk if neither this nor an image is given. */
  allocatedMiB: z.number().int().min(0).default(0),
  image: z.string().optional(),
});

export const vmSchema = z.strictObject({
  name: z.string().min(1),
  os: z.enum(["Windows", "Linux"]).default("Linux"),
  size: z.string().default("Standard_D2s_v5"),
  /** Name of an image of this estate. */
  image: z.string(),
  osDiskGiB: z.number().int().min(1).max(32_767).optional(),
  dataDisks: z.array(dataDiskSchema).max(64).default([]),
  zones: z.array(z.string()).optional(),
  tags: z.record(z.string(), z.string()).optional(),
  workload: workloadSchema.optional(),
  power: z.enum(["running", "stopped", "deallocated"]).default("running"),
  agent: z.enum(["ready", "stale", "absent"]).default("ready"),
  agentVersion: z.string().optional(),
  freeze: z.enum(["succeeds", "degrades", "fails"]).default("succeeds"),
  /** A Linux machine with pre- and post-scripts freezes its applications. */
  freezeScripts: z.boolean().default(false),
  trustedLaunch: z.boolean().default(false),
});

const classicVmSchema = z.strictObject({
  name: z.string().min(1),
  cloudService: z.string().min(1),
  storageAccount: z.string().regex(/^[a-z0-9]{3,24}$/),
  os: z.enum(["Windows", "Linux"]).default("Windows"),
  image: z.string(),
  /** Empty disks besides the one with the operating system. */
  dataDisksGiB: z.array(z.number().int().min(1)).default([]),
});

const groupSchema = z.strictObject({
  name: z.string().min(1),
  location: locationSchema,
  lock: z.enum(["CanNotDelete", "ReadOnly"]).optional(),
  virtualMachines: z.array(vmSchema).default([]),
  classicMachines: z.array(classicVmSchema).default([]),
  storageAccounts: z
    .array(z.strictObject({ name: z.string().regex(/^[a-z0-9]{3,24}$/), sku: z.string().default("Standard_LRS") }))
    .default([]),
});

export const estateSchema = z.strictObject({
  tenant: z.guid().default("22222222-2222-2222-2222-222222222222"),
  subscriptions: z
    .array(z.strictObject({ id: z.guid(), name: z.string().min(1), groups: z.array(groupSchema).default([]) }))
    .min(1),
  images: z.record(z.string(), imageSchema).default({}),
  principals: z.array(principalSchema).default([]),
  faults: z.array(faultRuleSchema).default([]),
  /** Items a list page holds. */
  pageSize: z.number().int().min(1).max(5000).default(500),
  /** How long ARM operations take. */
  operationMs: z.number().int().min(0).max(3_600_000).default(250),
  throttle: z.strictObject({ requestsPerSecond: z.number().positive(), burst: z.number().int().positive() }).optional(),
  limits: z
    .strictObject({
      snapshotsPerDisk: z.number().int().positive().default(500),
      grantsPerFamily: z.number().int().positive().default(5),
      restorePointsPerVm: z.number().int().positive().default(500),
    })
    .prefault({}),
  /** How the key vault protects deleted keys; a key tells it as its recovery level. */
  keyVault: keyVaultSchema.prefault({}),
  life: z
    .strictObject({ enabled: z.boolean().default(true), tickMs: z.number().int().min(10).default(1000) })
    .prefault({}),
  /** Scheme, host and port of the provider of Microsoft.RecoveryServices. */
  upstream: z.url().optional(),
  /** Scheme, host and port of Azurite's blob service. */
  blobOrigin: z.url().default("http://127.0.0.1:10000"),
});

export type EstateInput = z.input<typeof estateSchema>;
export type Estate = z.infer<typeof estateSchema>;
export type EstateVm = z.infer<typeof vmSchema>;
export type EstateGroup = Estate["subscriptions"][number]["groups"][number];
