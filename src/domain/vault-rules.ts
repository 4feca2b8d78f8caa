// What a vault may be called and set to, and when a setting can no longer change.

import { HoldfastFailure } from "../base/failure.ts";

export const REDUNDANCIES = ["LocallyRedundant", "ZoneRedundant", "GeoRedundant"] as const;
export type Redundancy = (typeof REDUNDANCIES)[number];
export const DEFAULT_REDUNDANCY: Redundancy = "GeoRedundant";

/** "AlwaysON" is spelled so on the wire, and cannot be taken back. */
export const SOFT_DELETE_STATES = ["Enabled", "Disabled", "AlwaysON"] as const;
export type SoftDeleteState = (typeof SOFT_DELETE_STATES)[number];

export interface SoftDeleteSettings {
  readonly state: SoftDeleteState;
  readonly retentionDays: number;
}

export const SOFT_DELETE_DAYS = { min: 14, max: 180 };
export const DEFAULT_SOFT_DELETE: SoftDeleteSettings = { state: "Enabled", retentionDays: SOFT_DELETE_DAYS.min };

export const IMMUTABILITY_STATES = ["Disabled", "Unlocked", "Locked"] as const;
export type ImmutabilityState = (typeof IMMUTABILITY_STATES)[number];

const MAX_NAME_LENGTH = 50;
const MIN_NAME_LENGTH = 2;

/** Names the rule that is broken, instead of all of them. */
export function requireVaultName(name: string): void {
  const broken = brokenNameRule(name);
  if (broken === undefined) return;
  throw new HoldfastFailure("invalid", "InvalidResourceName", `The vault name "${name}" cannot be used: ${broken}`);
}

function brokenNameRule(name: string): string | undefined {
  if (name.length < MIN_NAME_LENGTH) return `it is shorter than ${MIN_NAME_LENGTH} characters`;
  if (name.length > MAX_NAME_LENGTH) return `it is longer than ${MAX_NAME_LENGTH} characters`;
  if (!/^[a-z]/i.test(name)) return "it does not begin with a letter from a to z";
  const stranger = /[^a-z0-9-]/i.exec(name)?.[0];
  return stranger === undefined ? undefined : `"${stranger}" is neither a letter from a to z, a digit nor a hyphen`;
}

/** `hasItems`: any, soft-deleted ones included. Their data lies in the account that the redundancy chose. */
export function requireRedundancyChange(from: Redundancy, to: Redundancy, hasItems: boolean): void {
  if (from === to || !hasItems) return;
  throw new HoldfastFailure(
    "conflict",
    "HoldfastRedundancyLocked",
    `The vault's redundancy is ${from} and cannot become ${to}: it holds backups`,
    { hint: "Create another vault with that redundancy; soft-deleted items count until they are gone." },
  );
}

export const storageTypeStateOf = (hasItems: boolean): "Locked" | "Unlocked" => (hasItems ? "Locked" : "Unlocked");

export function requireSoftDeleteChange(from: SoftDeleteSettings, to: SoftDeleteSettings): void {
  if (from.state === "AlwaysON" && to.state !== "AlwaysON") {
    throw new HoldfastFailure(
      "invalid",
      "BMSUserErrorDisablingSoftDeleteStateNotAllowed",
      `Soft delete is always on in this vault and cannot become ${to.state}`,
    );
  }
  const { min, max } = SOFT_DELETE_DAYS;
  if (Number.isInteger(to.retentionDays) && to.retentionDays >= min && to.retentionDays <= max) return;
  throw new HoldfastFailure(
    "invalid",
    "HoldfastSoftDeleteDaysOutOfRange",
    `Soft-deleted data is kept ${min} to ${max} days, not ${to.retentionDays}`,
  );
}

/** What deletion of an item leads to: a time in which it can be undone, or the end. */
export function deletionEventOf({ state }: SoftDeleteSettings): "delete" | "purge" {
  return state === "Disabled" ? "purge" : "delete";
}

export function requireImmutabilityChange(from: ImmutabilityState, to: ImmutabilityState): void {
  const isAllowed = from !== "Locked" ? from === "Unlocked" || to !== "Locked" : to === "Locked";
  if (isAllowed) return;
  const message =
    from === "Locked"
      ? "The vault's immutability is locked and can never be changed"
      : "Immutability is locked only after it was enabled (Unlocked) for a while";
  throw new HoldfastFailure("conflict", "HoldfastImmutabilityChangeNotAllowed", message);
}

/** For whatever destroys points or shortens their life. `allowedFrom`: the first instant at which it would not. */
export function refuseWhileImmutable(state: ImmutabilityState, what: string, allowedFrom: Date | undefined): void {
  if (state === "Disabled") return;
  const from = allowedFrom === undefined ? "never, while points are kept" : `from ${allowedFrom.toISOString()} on`;
  throw new HoldfastFailure(
    "denied",
    "HoldfastVaultImmutable",
    `${what} is a destructive operation, and those are not supported in an immutable vault: ` +
      `immutabilitySettings.state is ${state}; it is allowed ${from}`,
    state === "Unlocked" ? { hint: "Immutability is not locked: whoever may write the vault can disable it." } : {},
  );
}

/** Regions are written with spaces and capitals, or without: "North Europe", "northeurope". */
export const regionKey = (region: string): string => region.replaceAll(" ", "").toLowerCase();

/** az looks for this sentence when it is told to delete by force. */
export function vaultNotEmpty(vaultName: string, itemCount: number): HoldfastFailure {
  return new HoldfastFailure(
    "conflict",
    "ServiceResourceNotEmptyWithContainerDetails",
    `${vaultName} cannot be deleted as there are existing resources within the vault: ${itemCount} items`,
    { hint: "Stop protection with deletion of the data; soft-deleted items count until their time is over." },
  );
}
