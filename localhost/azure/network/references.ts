// Who uses which part of a network: machines their interfaces, interfaces their subnets, addresses and security groups.
// Azure refuses to delete what is used, and to use what does not exist.
import type { Resource } from "../arm/resources.ts";
import { parentId } from "../arm/target.ts";
import type { World } from "../arm/world.ts";
import { AzureError } from "../http/azure-error.ts";

export const NETWORKS = "Microsoft.Network/virtualNetworks";
export const INTERFACES = "Microsoft.Network/networkInterfaces";
export const SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups";
export const ADDRESSES = "Microsoft.Network/publicIPAddresses";

interface Reference {
  readonly id?: string | undefined;
}

interface IpConfiguration {
  readonly name?: string | undefined;
  readonly properties?:
    | { readonly subnet?: Reference | undefined; readonly publicIPAddress?: Reference | undefined }
    | undefined;
}

export function machineOf(networkInterface: Resource): string | undefined {
  return (networkInterface.properties.virtualMachine as Reference | undefined)?.id;
}

/** Refuses to delete a part of a network while something outside `leaving` (ids in lower case) uses it. */
export function refuseWhileUsed(world: World, resource: Resource, leaving: ReadonlySet<string> = new Set()): void {
  const machine = machineOf(resource);
  if (machine !== undefined && !leaving.has(machine.toLowerCase())) throw interfaceInUse(resource.id, machine);
  const interfaces = world.resources.ofType(INTERFACES).filter(({ id }) => !leaving.has(id.toLowerCase()));
  for (const one of interfaces) {
    refuseIfGroupOf(one, resource);
    for (const configuration of configurationsOf(one)) refuseIfUsedBy(one, configuration, resource);
  }
}

/** Refuses to change a network such that a subnet goes that an interface is in. */
export function refuseLostSubnets(world: World, network: Resource, kept: readonly string[]): void {
  const staying = new Set(kept.map((name) => `${network.id}/subnets/${name}`.toLowerCase()));
  for (const one of world.resources.ofType(INTERFACES))
    for (const configuration of configurationsOf(one)) {
      const subnet = configuration.properties?.subnet?.id;
      if (subnet === undefined || staying.has(subnet.toLowerCase())) continue;
      refuseIfUsedBy(one, configuration, network);
    }
}

/** Refuses an interface that names a subnet, an address or a security group that is not there. */
export function refuseDanglingReferences(world: World, id: string, properties: Resource["properties"]): void {
  const wanted = configurationsOf({ properties }).flatMap(({ properties: one }) => [
    one?.subnet?.id,
    one?.publicIPAddress?.id,
  ]);
  for (const reference of [...wanted, securityGroupOf({ properties })]) {
    if (reference === undefined || exists(world, reference)) continue;
    throw new AzureError(
      400,
      "InvalidResourceReference",
      `Resource ${reference} referenced by resource ${id} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
    );
  }
}

export function interfaceInUse(id: string, user: string): AzureError {
  return new AzureError(
    400,
    "NicInUse",
    `Network Interface ${id} is used by existing resource ${user}. In order to delete the network interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.`,
  );
}

function refuseIfUsedBy(user: Resource, { name, properties }: IpConfiguration, used: Resource): void {
  const configuration = `${user.id}/ipConfigurations/${name ?? "ipconfig1"}`;
  const subnet = properties?.subnet?.id;
  if (subnet !== undefined && same(parentId(subnet), used.id))
    throw new AzureError(
      400,
      "InUseSubnetCannotBeDeleted",
      `Subnet ${subnet.split("/").at(-1)} is in use by ${configuration} and cannot be deleted. In order to delete the subnet, delete all the resources within the subnet. See aka.ms/deletesubnet.`,
    );
  if (same(properties?.publicIPAddress?.id, used.id))
    throw new AzureError(
      400,
      "PublicIPAddressCannotBeDeleted",
      `Public IP address ${used.id} can not be deleted since it is still allocated to resource ${configuration}. In order to delete the public IP, disassociate/detach the Public IP address from the resource. To learn how to do this, see aka.ms/deletepublicip.`,
    );
}

function refuseIfGroupOf(user: Resource, used: Resource): void {
  if (!same(securityGroupOf(user), used.id)) return;
  throw new AzureError(
    400,
    "InUseNetworkSecurityGroupCannotBeDeleted",
    `Network security group ${used.id} cannot be deleted because it is in use by the following resources: ${user.id}. In order to delete the Network security group, remove the association with the resource(s). To learn how to do this, see aka.ms/deletensg.`,
  );
}

function exists(world: World, id: string): boolean {
  if (world.resources.find(id) !== undefined) return true;
  const subnets = world.resources.find(parentId(id))?.properties.subnets as { name?: string }[] | undefined;
  return (
    /\/subnets\/[^/]+$/i.test(id) && (subnets ?? []).some(({ name = "default" }) => same(name, id.split("/").at(-1)))
  );
}

function configurationsOf({ properties }: Pick<Resource, "properties">): readonly IpConfiguration[] {
  return (properties.ipConfigurations as readonly IpConfiguration[] | undefined) ?? [];
}

function securityGroupOf({ properties }: Pick<Resource, "properties">): string | undefined {
  return (properties.networkSecurityGroup as Reference | undefined)?.id;
}

function same(left: string | undefined, right: string | undefined): boolean {
  return left !== undefined && left.toLowerCase() === right?.toLowerCase();
}
