// Why a machine cannot be protected by a vault: the reasons in the order in which one finds out, the first that holds.

import { HoldfastFailure } from "../base/failure.ts";
import { sameArmId } from "./arm-ids.ts";
import { LIMITS } from "./limits.ts";
import { regionKey } from "./vault-rules.ts";

export interface ProtectableFacts {
  readonly vaultId: string;
  readonly vaultRegion: string;
  readonly vaultSubscription: string;
  readonly itemsInVault: number;
  readonly vmName: string;
  /** Undefined: there is no such machine. */
  readonly vm:
    | { readonly region: string; readonly subscription: string; readonly disks: readonly DiskFacts[] }
    | undefined;
  /** Which vault has claimed the machine, if any, and whether its data there is only soft-deleted. */
  readonly claim: { readonly vaultId: string; readonly isSoftDeleted: boolean } | undefined;
}

export interface DiskFacts {
  readonly name: string;
  readonly sizeBytes: number;
  readonly networkAccess: "AllowAll" | "AllowPrivate" | "DenyAll";
  /** Left out of the backup by choice. */
  readonly isExcluded: boolean;
}

/** The first reason against it, or undefined. */
export function refusalToProtect(facts: ProtectableFacts): HoldfastFailure | undefined {
  const { vm, vmName } = facts;
  if (vm === undefined) {
    return refuse("not-found", "BCMV2VMNotFound", `There is no machine ${vmName}`, "Check its name and group.");
  }
  return refusalByPlace(facts, vm) ?? refusalByClaim(facts) ?? refusalByDisks(vm.disks) ?? refusalByCount(facts);
}

function refusalByPlace(facts: ProtectableFacts, vm: { region: string; subscription: string }) {
  const { vaultRegion, vaultSubscription, vmName } = facts;
  const code = "BMSUserErrorInvalidConfigureProtectionRequest";
  if (regionKey(vm.region) !== regionKey(vaultRegion)) {
    const message = `${vmName} is in ${vm.region}, and this vault protects machines in ${vaultRegion}`;
    return refuse("invalid", code, message, `Use a vault in ${vm.region}.`);
  }
  if (vm.subscription.toLowerCase() !== vaultSubscription.toLowerCase()) {
    const message = `${vmName} is in another subscription than the vault`;
    return refuse("invalid", code, message, "Use a vault in the machine's own subscription.");
  }
  return undefined;
}

function refusalByClaim({ claim, vaultId, vmName }: ProtectableFacts): HoldfastFailure | undefined {
  if (claim === undefined) return undefined;
  if (!sameArmId(claim.vaultId, vaultId)) {
    const message = `${vmName} belongs to another vault: ${claim.vaultId}`;
    const hint =
      "Stop its protection there with deletion of the data first; soft-deleted data counts until it is gone.";
    return refuse("conflict", "HoldfastProtectedInAnotherVault", message, hint);
  }
  if (claim.isSoftDeleted) {
    const message = `${vmName} has soft-deleted data in this vault`;
    return refuse("conflict", "HoldfastItemSoftDeleted", message, "Undelete it and resume, or wait until it is gone.");
  }
  return refuse("conflict", "HoldfastAlreadyProtected", `${vmName} is protected already`, "Change its policy instead.");
}

function refusalByDisks(disks: readonly DiskFacts[]): HoldfastFailure | undefined {
  const included = disks.filter(({ isExcluded }) => !isExcluded);
  const large = included.find(({ sizeBytes }) => sizeBytes > LIMITS.diskBytes);
  if (large !== undefined) {
    const message = `The disk ${large.name} has ${large.sizeBytes} bytes; the most is ${LIMITS.diskBytes}`;
    return refuse("invalid", "UserErrorUnsupportedDiskSize", message, "Exclude the disk.");
  }
  const shut = included.find(({ networkAccess }) => networkAccess !== "AllowAll");
  if (shut === undefined) return undefined;
  const message = `The disk ${shut.name} has the network access policy ${shut.networkAccess}, so its content cannot be read`;
  return refuse("denied", "HoldfastDiskNetworkAccess", message, "Allow access from all networks, or exclude the disk.");
}

function refusalByCount({ itemsInVault }: ProtectableFacts): HoldfastFailure | undefined {
  if (itemsInVault < LIMITS.itemsPerVault) return undefined;
  const message = `The vault has ${itemsInVault} items, and ${LIMITS.itemsPerVault} are the most`;
  return refuse("conflict", "HoldfastVaultFull", message, "Protect the machine in another vault.");
}

function refuse(kind: "not-found" | "invalid" | "conflict" | "denied", code: string, message: string, hint: string) {
  return new HoldfastFailure(kind, code, message, { hint });
}
