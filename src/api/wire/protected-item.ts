// Protected items on the wire: what a PUT asks for, which one body expresses by what it holds and leaves out; and the
// resource as clients read it.

import { z } from "zod";
import type { ItemBody } from "../../control/rows/item-row.ts";
import { catalogEntryOf } from "../../domain/failure-catalog.ts";
import { healthOf } from "../../domain/item-health.ts";
import { oneOf, optional, resourceId, text } from "./text.ts";

export type DiskChoice = ItemBody["disks"];

export type ItemWish =
  /** Enable, change the policy or the disks, resume: the item's state tells which. */
  | { readonly kind: "protect"; readonly machineId: string; readonly policyId: string; readonly disks?: DiskChoice }
  | { readonly kind: "stop" }
  | { readonly kind: "suspend" }
  | { readonly kind: "undelete" };

const MACHINE_TYPES = ["Microsoft.Compute/virtualMachines", "Microsoft.ClassicCompute/virtualMachines"] as const;

const luns = z.array(z.number().int().min(0).max(63)).max(64);
const exclusion = z.object({ diskLunList: luns, isInclusionList: z.boolean() });

const properties = z.object({
  protectedItemType: oneOf(MACHINE_TYPES),
  sourceResourceId: optional(resourceId),
  policyId: optional(text),
  protectionState: optional(
    oneOf(["IRPending", "Protected", "ProtectionError", "ProtectionStopped", "ProtectionPaused", "BackupsSuspended"]),
  ),
  isRehydrate: optional(z.boolean()),
  extendedProperties: optional(z.object({ diskExclusionProperties: optional(exclusion) })),
});

export const protectedItemBody: z.ZodType<ItemWish> = z
  .object({ properties })
  .transform(({ properties: wire }, context) => {
    const { sourceResourceId: machineId, policyId = "", protectionState, isRehydrate, extendedProperties } = wire;
    if (isRehydrate === true) return { kind: "undelete" } as const;
    if (protectionState === "BackupsSuspended") return { kind: "suspend" } as const;
    if (protectionState === "ProtectionStopped" && policyId === "") return { kind: "stop" } as const;
    if (policyId !== "" && machineId !== undefined && machineId !== "") {
      const disks = extendedProperties && choiceOf(extendedProperties.diskExclusionProperties);
      return { kind: "protect", machineId, policyId, ...(disks && { disks }) } as const;
    }
    const missing = policyId === "" ? "policyId" : "sourceResourceId";
    context.addIssue({ code: "custom", path: ["properties", missing], message: "is needed to protect the machine" });
    return z.NEVER;
  });

const OS_DISK = -1;

/** The disk with the operating system is always backed up. An empty list of exclusions, or none at all, is all disks. */
function choiceOf(list: z.infer<typeof exclusion> | undefined): DiskChoice {
  if (list === undefined) return { kind: "all", luns: [] };
  const numbers = [...new Set(list.diskLunList)].sort((one, other) => one - other);
  if (list.isInclusionList) return { kind: "only", luns: [OS_DISK, ...numbers] };
  return numbers.length === 0 ? { kind: "all", luns: [] } : { kind: "except", luns: numbers };
}

function renderChoice({ kind, luns: numbers }: DiskChoice): unknown {
  if (kind === "all") return null;
  const diskLunList = numbers.filter((lun) => lun !== OS_DISK);
  return { diskExclusionProperties: { diskLunList, isInclusionList: kind === "only" } };
}

export interface RenderedItem {
  readonly vaultPath: string;
  readonly item: ItemBody;
  readonly now: Date;
  /** Only when it was asked for. */
  readonly points?: {
    readonly count: number;
    readonly oldestAt: string | null;
    readonly oldestInVaultAt: string | null;
  };
  /** Ours. */
  readonly nextRunAt?: string | undefined;
}

export const itemPathOf = (vaultPath: string, { containerName, name }: Pick<ItemBody, "containerName" | "name">) =>
  `${vaultPath}/backupFabrics/Azure/protectionContainers/${containerName}/protectedItems/${name}`;

export function renderItem(rendered: RenderedItem): unknown {
  const { vaultPath, item, nextRunAt } = rendered;
  return {
    id: itemPathOf(vaultPath, item),
    name: item.name,
    type: "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
    properties: {
      protectedItemType: machineTypeOf(item),
      friendlyName: item.machineName,
      virtualMachineId: item.machineId,
      sourceResourceId: item.machineId,
      backupManagementType: "AzureIaasVM",
      workloadType: "VM",
      containerName: item.containerName.replace(/^[^;]*;(?=[^;]*;[^;]*;)/, ""),
      vaultId: vaultPath,
      policyId: item.policy === null ? "" : `${vaultPath}/backupPolicies/${item.policy}`,
      policyName: item.policy ?? "",
      protectionState: item.state,
      protectedItemDataId: dataIdOf(item),
      isArchiveEnabled: false,
      extendedProperties: renderChoice(item.disks),
      ...renderHealth(item),
      ...renderLastBackup(item),
      ...renderDeletion(rendered),
      ...renderPoints(rendered),
      ...(nextRunAt !== undefined && { nextRunTime: nextRunAt }),
    },
  };
}

export const machineTypeOf = ({ machineKind }: Pick<ItemBody, "machineKind">): string =>
  machineKind === "classic" ? MACHINE_TYPES[1] : MACHINE_TYPES[0];

/** Digits, as in Azure; what they count is nobody's business, only that an item keeps them. */
function dataIdOf({ archiveItem }: ItemBody): string {
  const tail = Buffer.from(archiveItem).toString("hex").slice(-12);
  return String(Number.parseInt(tail, 16));
}

function renderLastBackup({ lastBackup, lastPointAt }: ItemBody) {
  return {
    lastBackupStatus: lastBackup?.status ?? "",
    lastBackupTime: lastBackup?.at ?? "2001-01-01T00:00:00Z",
    ...(lastPointAt !== null && { lastRecoveryPoint: lastPointAt }),
  };
}

/** The code of what is wrong with the item. */
function failureOf({ state, lastBackup }: ItemBody): string | undefined {
  if (state === "ProtectionError") return GONE;
  return lastBackup?.status === "Failed" ? (lastBackup.errorCode ?? "CloudInternalError") : undefined;
}

export const healthStatusOf = (item: ItemBody): "Passed" | "ActionRequired" =>
  failureOf(item) === undefined ? "Passed" : "ActionRequired";

function renderHealth(item: ItemBody) {
  const { extensionNote } = item;
  const failure = failureOf(item);
  const note = extensionNote === null ? [] : [detailOf(400_241, "IaasVmHealthYellow", extensionNote)];
  const status = healthOf([failure]);
  return {
    protectionStatus: failure === undefined ? "Healthy" : "Unhealthy",
    healthStatus: healthStatusOf(item),
    healthDetails: [failure === undefined ? ALL_WELL : detailOfFailure(failure), ...note],
    kpisHealths: { BackupOperationStatusKPI: { resourceHealthStatus: status, resourceHealthDetails: [] } },
  };
}

/** What an item's state stands for that lost its machine. */
const GONE = "BCMV2VMNotFound";

function detailOfFailure(failure: string) {
  const { number, title, message, recommendedActions } = catalogEntryOf(failure);
  return detailOf(number, title, message, recommendedActions);
}

/** Tables of az cannot do without the list of recommendations. */
function detailOf(code: number, title: string, message: string, recommendations: readonly string[] = []) {
  return { code, title, message, recommendations };
}

const ALL_WELL = detailOf(400_239, "IaasVmHealthGreenDefault", "The last checks and backups of the machine went well.");

function renderDeletion({ item: { deletedAt, purgeAt }, now }: RenderedItem) {
  if (deletedAt === null || purgeAt === null) return {};
  const leftMs = Math.max(0, Date.parse(purgeAt) - now.getTime());
  return {
    isScheduledForDeferredDelete: true,
    deferredDeleteTimeInUTC: deletedAt,
    deferredDeleteTimeRemaining: renderTimeSpan(leftMs),
    softDeleteRetentionPeriodInDays: Math.round((Date.parse(purgeAt) - Date.parse(deletedAt)) / DAY_MS),
  };
}

const DAY_MS = 24 * 3_600_000;

/** The one place where Azure writes durations its other way: `13.23:59:43.8068908`. */
function renderTimeSpan(durationMs: number): string {
  const [days, hours, minutes] = [DAY_MS, 3_600_000, 60_000].map((unit) => Math.floor(durationMs / unit)) as [
    number,
    number,
    number,
  ];
  const pad = (value: number) => String(value).padStart(2, "0");
  const seconds = ((durationMs % 60_000) / 1000).toFixed(7).padStart(10, "0");
  return `${days > 0 ? `${days}.` : ""}${pad(hours % 24)}:${pad(minutes % 60)}:${seconds}`;
}

function renderPoints({ points }: RenderedItem) {
  if (points === undefined) return {};
  const { count, oldestAt, oldestInVaultAt } = points;
  return {
    extendedInfo: {
      recoveryPointCount: count,
      policyInconsistent: false,
      ...(oldestAt !== null && { oldestRecoveryPoint: oldestAt }),
      ...(oldestInVaultAt !== null && { oldestRecoveryPointInVault: oldestInVaultAt }),
    },
  };
}
