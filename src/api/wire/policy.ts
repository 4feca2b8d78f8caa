// Policies on the wire, V1 and V2, in both directions without loss. What a policy says is read here; whether it makes sense
// is the domain's to judge.

import { z } from "zod";
import { type Policy, type PolicyType, type SnapshotGroupAffixes, timeOf } from "../../domain/policy.ts";
import { renderRetention, retentionPolicy, withoutRepeatedTimes } from "./retention.ts";
import { renderSchedule, schedulePolicy } from "./schedule.ts";
import { oneOf, optional, text } from "./text.ts";

const groupNames = z.object({
  azureBackupRGNamePrefix: optional(text),
  azureBackupRGNameSuffix: optional(text),
});

/** Points stay where they are: there is no archive tier, and a policy that counts on one is refused rather than bent. */
const tiering = z.record(z.string(), z.object({ tieringMode: optional(oneOf(["DoNotTier", "Invalid"])) }));

const properties = z.object({
  backupManagementType: oneOf(["AzureIaasVM"]),
  policyType: optional(oneOf(["V1", "V2"])),
  timeZone: optional(text),
  instantRpRetentionRangeInDays: optional(z.number().int()),
  instantRPDetails: optional(groupNames),
  schedulePolicy,
  retentionPolicy,
  tieringPolicy: optional(tiering),
});

const resource = z.object({ properties });

/** What a client asks a policy to be. */
export const policyBody: z.ZodType<Policy> = resource.transform(({ properties: wire }, context): Policy => {
  const { type: scheduleType, schedule } = wire.schedulePolicy;
  const type = wire.policyType ?? scheduleType;
  if (type !== scheduleType) {
    const path = ["properties", "schedulePolicy", "schedulePolicyType"];
    context.addIssue({ code: "custom", path, message: `is not the kind of schedule that a ${type} policy has` });
    return z.NEVER;
  }
  return {
    type,
    timeZone: wire.timeZone ?? "UTC",
    schedule,
    retention: withoutRepeatedTimes(wire.retentionPolicy, timeOf(schedule)),
    instantRestoreDays: wire.instantRpRetentionRangeInDays ?? defaultInstantDays(type, schedule.frequency),
    snapshotGroup: parseAffixes(wire.instantRPDetails),
  };
});

/** Of clients that leave it out. */
function defaultInstantDays(type: PolicyType, frequency: string): number {
  if (type === "V2") return 7;
  return frequency === "Weekly" ? 5 : 2;
}

function parseAffixes(details: z.infer<typeof groupNames> | undefined): SnapshotGroupAffixes {
  return { prefix: details?.azureBackupRGNamePrefix ?? "", suffix: details?.azureBackupRGNameSuffix ?? "" };
}

/** How often a policy runs that does not follow its schedule. */
export const intervalBody: z.ZodType<number> = z
  .object({ properties: z.object({ everyMinutes: z.number().int() }) })
  .transform((wire) => wire.properties.everyMinutes);

export function renderInterval(vaultPath: string, name: string, { everyMinutes }: Policy): unknown {
  return {
    id: `${vaultPath}/backupPolicies/${name}/everyMinutes`,
    name: "everyMinutes",
    type: "Microsoft.RecoveryServices/vaults/backupPolicies/everyMinutes",
    properties: { everyMinutes: everyMinutes ?? null },
  };
}

export interface RenderedPolicy {
  readonly vaultPath: string;
  readonly name: string;
  readonly policy: Policy;
  readonly itemCount: number;
  /** Ours: when it runs next. */
  readonly nextRunAt?: string | undefined;
}

export function renderPolicy({ vaultPath, name, policy, itemCount, nextRunAt }: RenderedPolicy): unknown {
  const { prefix, suffix } = policy.snapshotGroup;
  return {
    id: `${vaultPath}/backupPolicies/${name}`,
    name,
    type: "Microsoft.RecoveryServices/vaults/backupPolicies",
    properties: {
      backupManagementType: "AzureIaasVM",
      policyType: policy.type,
      timeZone: policy.timeZone,
      instantRpRetentionRangeInDays: policy.instantRestoreDays,
      instantRPDetails: {
        ...(prefix !== "" && { azureBackupRGNamePrefix: prefix }),
        ...(suffix !== "" && { azureBackupRGNameSuffix: suffix }),
      },
      schedulePolicy: renderSchedule(policy.type, policy.schedule),
      retentionPolicy: renderRetention(policy.retention, timeOf(policy.schedule)),
      tieringPolicy: { ArchivedRP: { tieringMode: "DoNotTier", duration: 0, durationType: "Invalid" } },
      // A number always: az refuses to work with a policy that has none.
      protectedItemsCount: itemCount,
      ...(nextRunAt !== undefined && { nextRunTime: nextRunAt }),
    },
  };
}
