// Resource ids of Azure: taken apart and put together here. They are compared without regard to case, and keep the case
// they came with. Names of containers and items, which clients build from a machine's group and name, are here too.

import { HoldfastFailure } from "../base/failure.ts";

/** Any id of a resource in a group, as it was given but for doubled slashes. */
export type ArmId = string & { readonly brand: "ArmId" };
export type VmId = ArmId & { readonly resource: "vm" };
export type VaultId = ArmId & { readonly resource: "vault" };
export type DiskId = ArmId & { readonly resource: "disk" };
export type ResourceGroupId = ArmId & { readonly resource: "resource-group" };

export type VmPlatform = "ResourceManager" | "Classic";

export interface ResourceGroupParts {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
}

export interface VmParts extends ResourceGroupParts {
  readonly platform: VmPlatform;
  readonly name: string;
}

export interface NamedParts extends ResourceGroupParts {
  readonly name: string;
}

/** What a container's or an item's name says: which machine of the vault's subscription it is. */
export interface VmNameParts {
  readonly platform: VmPlatform;
  /** The resource group; of a classic machine, the cloud service. */
  readonly group: string;
  readonly name: string;
}

const VM_TYPES: Readonly<Record<VmPlatform, string>> = {
  ResourceManager: "Microsoft.Compute/virtualMachines",
  Classic: "Microsoft.ClassicCompute/virtualMachines",
};
const CONTAINER_KINDS: Readonly<Record<VmPlatform, string>> = {
  ResourceManager: "iaasvmcontainerv2",
  Classic: "iaasvmcontainer",
};
const VAULT_TYPE = "Microsoft.RecoveryServices/vaults";
const DISK_TYPE = "Microsoft.Compute/disks";

export const vmTypeOf = (platform: VmPlatform): string => VM_TYPES[platform];

export function renderVmId({ subscriptionId, resourceGroup, platform, name }: VmParts): VmId {
  return renderId(subscriptionId, resourceGroup, VM_TYPES[platform], name) as VmId;
}

export function renderVaultId({ subscriptionId, resourceGroup, name }: NamedParts): VaultId {
  return renderId(subscriptionId, resourceGroup, VAULT_TYPE, name) as VaultId;
}

export function renderDiskId({ subscriptionId, resourceGroup, name }: NamedParts): DiskId {
  return renderId(subscriptionId, resourceGroup, DISK_TYPE, name) as DiskId;
}

export function renderResourceGroupId({ subscriptionId, resourceGroup }: ResourceGroupParts): ResourceGroupId {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}` as ResourceGroupId;
}

export function parseVmId(text: string): VmParts {
  const { type, ...parts } = parseResource(text, "a virtual machine");
  const platform = (Object.keys(VM_TYPES) as VmPlatform[]).find((candidate) => sameText(VM_TYPES[candidate], type));
  if (platform === undefined) throw notAnId(text, "a virtual machine");
  return { platform, ...parts };
}

export const parseVaultId = (text: string): NamedParts => parseTyped(text, VAULT_TYPE, "a vault");
export const parseDiskId = (text: string): NamedParts => parseTyped(text, DISK_TYPE, "a managed disk");

export function parseResourceGroupId(text: string): ResourceGroupParts {
  const match = /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/?$/i.exec(collapseSlashes(text));
  if (!match) throw notAnId(text, "a resource group");
  return { subscriptionId: match[1] as string, resourceGroup: match[2] as string };
}

/** What two spellings of one id have in common: the key under which rows keep it. */
export function armIdKey(id: string): string {
  return collapseSlashes(id).replace(/\/$/, "").toLowerCase();
}

export const sameArmId = (one: string, other: string): boolean => armIdKey(one) === armIdKey(other);

/** `IaasVMContainer;iaasvmcontainerv2;<group>;<name>` */
export const renderContainerName = (vm: VmNameParts): string => `IaasVMContainer;${renderContainerProperty(vm)}`;
/** `VM;iaasvmcontainerv2;<group>;<name>` */
export const renderItemName = (vm: VmNameParts): string => `VM;${renderContainerProperty(vm)}`;
/** What the property `containerName` holds: the name without its leading kind. */
export const renderContainerProperty = ({ platform, group, name }: VmNameParts): string =>
  `${CONTAINER_KINDS[platform]};${group};${name}`;

/** Accepts what clients send: any case, with or without the leading kind, with an encoded semicolon. */
export const parseContainerName = (text: string): VmNameParts => parseVmName(text, "iaasvmcontainer", "container");
export const parseItemName = (text: string): VmNameParts => parseVmName(text, "vm", "item");

function parseVmName(text: string, leadingKind: string, what: string): VmNameParts {
  const parts = text.replaceAll(/%3B/gi, ";").split(";");
  // A classic container without its leading kind begins with the same word as one that has it: the count decides.
  if (parts.length === 4 && sameText(parts[0] as string, leadingKind)) parts.shift();
  const [kind = "", group = "", name = ""] = parts;
  const platform = (Object.keys(CONTAINER_KINDS) as VmPlatform[]).find((one) => sameText(CONTAINER_KINDS[one], kind));
  if (parts.length !== 3 || platform === undefined || group === "" || name === "") {
    throw new HoldfastFailure(
      "invalid",
      "BMSUserErrorInvalidConfigureProtectionRequest",
      `"${text}" is not the name of a virtual machine's ${what}`,
      { hint: `It looks like ${leadingKind === "vm" ? "VM" : "IaasVMContainer"};iaasvmcontainerv2;<group>;<machine>.` },
    );
  }
  return { platform, group, name };
}

function parseTyped(text: string, wanted: string, what: string): NamedParts {
  const { type, ...parts } = parseResource(text, what);
  if (!sameText(type, wanted)) throw notAnId(text, what);
  return parts;
}

function parseResource(text: string, what: string): NamedParts & { readonly type: string } {
  const match = /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/([^/]+\/[^/]+)\/([^/]+)\/?$/i.exec(
    collapseSlashes(text),
  );
  if (!match) throw notAnId(text, what);
  const [, subscriptionId, resourceGroup, type, name] = match as unknown as [string, string, string, string, string];
  return { subscriptionId, resourceGroup, type, name };
}

function renderId(subscriptionId: string, resourceGroup: string, type: string, name: string): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/${type}/${name}`;
}

const collapseSlashes = (text: string): string => text.replaceAll(/\/{2,}/g, "/");
const sameText = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

function notAnId(text: string, what: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "LinkedInvalidPropertyId", `"${text}" is not the resource id of ${what}`);
}
