// Vaults on the wire: the resource itself, and its two configuration resources, which show parts of the same.

import { z } from "zod";
import type { VaultBody } from "../../control/rows/vault-row.ts";
import type { VaultChange } from "../../control/vaults.ts";
import { IMMUTABILITY_STATES, REDUNDANCIES, SOFT_DELETE_STATES, storageTypeStateOf } from "../../domain/vault-rules.ts";
import { oneOf, optional, text } from "./text.ts";

/** Set by clients, given back to them, and of no meaning here. */
const KEPT_SETTINGS = ["publicNetworkAccess", "monitoringSettings", "restoreSettings"] as const;

const switchState = oneOf(["Enabled", "Disabled"]);
const softDeleteSettings = z.object({
  softDeleteState: optional(oneOf(SOFT_DELETE_STATES)),
  softDeleteRetentionPeriodInDays: optional(z.number().int()),
  enhancedSecurityState: optional(oneOf(SOFT_DELETE_STATES)),
});
const securitySettings = z.object({
  immutabilitySettings: optional(z.object({ state: optional(oneOf(IMMUTABILITY_STATES)) })),
  softDeleteSettings: optional(softDeleteSettings),
});
const redundancySettings = z.object({
  standardTierStorageRedundancy: optional(oneOf(REDUNDANCIES)),
  crossRegionRestore: optional(switchState),
});
const properties = z.object({
  publicNetworkAccess: optional(switchState),
  monitoringSettings: optional(z.record(z.string(), z.unknown())),
  restoreSettings: optional(z.record(z.string(), z.unknown())),
  securitySettings: optional(securitySettings),
  redundancySettings: optional(redundancySettings),
});

/** Names and values within ARM's own bounds. */
const tags = z
  .record(z.string().max(512), z.string().max(256))
  .refine((all) => Object.keys(all).length <= 50, "too many");
const identity = z.object({ type: text }).loose();

const patch = z.object({
  location: optional(text),
  tags: optional(tags),
  identity: optional(identity),
  properties: optional(properties),
});

export const vaultPatchBody: z.ZodType<VaultChange> = patch.transform(settingsOf);

export const vaultBody: z.ZodType<VaultChange & { readonly location: string }> = patch
  .extend({ location: text.min(1) })
  .transform((wire) => ({ location: wire.location, ...settingsOf(wire) }));

function settingsOf({ tags: wireTags, identity: wireIdentity, properties: wire }: z.infer<typeof patch>): VaultChange {
  const { standardTierStorageRedundancy, crossRegionRestore } = wire?.redundancySettings ?? {};
  const { immutabilitySettings, softDeleteSettings: softDelete } = wire?.securitySettings ?? {};
  const kept = KEPT_SETTINGS.filter((key) => wire?.[key] !== undefined).map((key) => [key, wire?.[key]]);
  return present({
    tags: wireTags,
    identity: wireIdentity,
    redundancy: standardTierStorageRedundancy,
    crossRegionRestore: crossRegionRestore === undefined ? undefined : crossRegionRestore === "Enabled",
    softDelete:
      softDelete &&
      present({
        state: softDelete.softDeleteState,
        days: softDelete.softDeleteRetentionPeriodInDays,
        enhancedState: softDelete.enhancedSecurityState,
      }),
    immutability: immutabilitySettings?.state,
    settings: kept.length === 0 ? undefined : Object.fromEntries(kept),
  });
}

type Present<Fields> = { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };

/** Without what is undefined: to a use case, absent means "leave it as it is". */
function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}

export function vaultPathOf({ subscriptionId, resourceGroup, name }: VaultBody): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.RecoveryServices/vaults/${name}`;
}

export function renderVault(vault: VaultBody, etag: string): unknown {
  const { softDelete, redundancy, crossRegionRestore } = vault;
  return {
    id: vaultPathOf(vault),
    name: vault.name,
    type: "Microsoft.RecoveryServices/vaults",
    location: vault.location,
    tags: vault.tags,
    etag,
    sku: { name: "RS0", tier: "Standard" },
    identity: vault.identity ?? null,
    systemData: { createdAt: vault.createdAt },
    properties: {
      monitoringSettings: {
        azureMonitorAlertSettings: { alertsForAllJobFailures: "Enabled" },
        classicAlertSettings: { alertsForCriticalOperations: "Disabled" },
      },
      restoreSettings: { crossSubscriptionRestoreSettings: { crossSubscriptionRestoreState: "Enabled" } },
      // az cannot create a vault again that does not say this.
      publicNetworkAccess: "Enabled",
      ...vault.settings,
      provisioningState: "Succeeded",
      privateEndpointStateForBackup: "None",
      privateEndpointStateForSiteRecovery: "None",
      backupStorageVersion: "V2",
      bcdrSecurityLevel: "Good",
      redundancySettings: {
        standardTierStorageRedundancy: redundancy,
        crossRegionRestore: crossRegionRestore ? "Enabled" : "Disabled",
      },
      securitySettings: {
        immutabilitySettings: { state: vault.immutability },
        softDeleteSettings: {
          softDeleteState: softDelete.state,
          softDeleteRetentionPeriodInDays: softDelete.days,
          enhancedSecurityState: softDelete.enhancedState,
        },
        multiUserAuthorization: "Disabled",
      },
    },
  };
}

const storageConfig = z.object({
  properties: z.object({
    storageModelType: optional(oneOf(REDUNDANCIES)),
    storageType: optional(oneOf(REDUNDANCIES)),
    crossRegionRestoreFlag: optional(z.boolean()),
  }),
});

/** Clients write the model and read the type; both are the vault's redundancy. */
export const storageConfigBody: z.ZodType<VaultChange> = storageConfig.transform(({ properties: wire }) =>
  present({ redundancy: wire.storageModelType ?? wire.storageType, crossRegionRestore: wire.crossRegionRestoreFlag }),
);

export function renderStorageConfig(vault: VaultBody): unknown {
  return {
    id: `${vaultPathOf(vault)}/backupstorageconfig/vaultstorageconfig`,
    name: "vaultstorageconfig",
    type: "Microsoft.RecoveryServices/vaults/backupstorageconfig",
    properties: {
      ...storageStateOf(vault),
      crossRegionRestoreFlag: vault.crossRegionRestore,
      dedupState: "Enabled",
      xcoolState: "Disabled",
    },
  };
}

const storageStateOf = ({ redundancy, archive }: VaultBody) => ({
  storageModelType: redundancy,
  storageType: redundancy,
  storageTypeState: storageTypeStateOf(archive !== null),
});

const vaultConfig = z.object({
  properties: z.object({
    enhancedSecurityState: optional(oneOf(SOFT_DELETE_STATES)),
    softDeleteFeatureState: optional(oneOf(SOFT_DELETE_STATES)),
    softDeleteRetentionPeriodInDays: optional(z.number().int()),
  }),
});

export const vaultConfigBody: z.ZodType<VaultChange> = vaultConfig.transform(({ properties: wire }) => ({
  softDelete: present({
    state: wire.softDeleteFeatureState,
    days: wire.softDeleteRetentionPeriodInDays,
    enhancedState: wire.enhancedSecurityState,
  }),
}));

export function renderVaultConfig(vault: VaultBody): unknown {
  const { state, days, enhancedState } = vault.softDelete;
  return {
    id: `${vaultPathOf(vault)}/backupconfig/vaultconfig`,
    name: "vaultconfig",
    type: "Microsoft.RecoveryServices/vaults/backupconfig",
    properties: {
      ...storageStateOf(vault),
      enhancedSecurityState: enhancedState,
      softDeleteFeatureState: state,
      softDeleteRetentionPeriodInDays: days,
      isSoftDeleteFeatureStateEditable: state !== "AlwaysON",
      resourceGuardOperationRequests: [],
    },
  };
}

/** Keys are the service's, one for each vault, wrapped by the deployment's key. */
export function renderEncryptionConfig(vault: VaultBody): unknown {
  return {
    id: `${vaultPathOf(vault)}/backupEncryptionConfigs/backupResourceEncryptionConfig`,
    name: "backupResourceEncryptionConfig",
    type: "Microsoft.RecoveryServices/vaults/backupEncryptionConfigs",
    properties: {
      encryptionAtRestType: "MicrosoftManaged",
      keyUri: null,
      subscriptionId: null,
      lastUpdateStatus: "NotEnabled",
      infrastructureEncryptionState: "Disabled",
      useSystemAssignedIdentity: true,
    },
  };
}
