// Which network interfaces a virtual machine has: taking them, letting them go, under Azure's conditions.
import { drop, keep, type Resource } from "../arm/resources.ts";
import { invalid, type World } from "../arm/world.ts";
import { AzureError } from "../http/azure-error.ts";
import { interfaceInUse, machineOf } from "../network/references.ts";
import type { Entry } from "../state/entry.ts";
import type { Vm } from "./vm-model.ts";

interface WantedInterface {
  readonly [property: string]: unknown;
  readonly id: string;
  readonly properties?: { readonly deleteOption?: string | undefined; readonly [more: string]: unknown } | undefined;
}

interface NetworkProfile {
  readonly networkInterfaces?: readonly WantedInterface[] | undefined;
}

/** The entries that make these interfaces the machine's own, and free those it had and does not have any more. */
export function planInterfaces(
  world: World,
  home: { readonly id: string; readonly location: string },
  wanted: readonly WantedInterface[],
  before: readonly WantedInterface[],
): Entry[] {
  const kept = new Set(wanted.map(({ id }) => id.toLowerCase()));
  const taken = wanted.map(({ id }) => interfaceFor(world, home, id));
  const freed = before.flatMap(({ id }) => (kept.has(id.toLowerCase()) ? [] : freedInterface(world, home.id, id)));
  return [
    ...freed,
    ...taken
      .filter((one) => machineOf(one) === undefined)
      .map((one) => keep({ ...one, properties: { ...one.properties, virtualMachine: { id: home.id } } })),
  ];
}

/** What becomes of the interfaces of a machine that goes: freed, or deleted with it if they are to be. */
export function planInterfacesOfLeaving(world: World, vm: Vm): Entry[] {
  return interfacesOf(vm).flatMap(({ id, properties }) =>
    properties?.deleteOption === "Delete" && world.resources.find(id) !== undefined
      ? [drop(id)]
      : freedInterface(world, vm.id, id),
  );
}

export function interfacesOf(vm: Vm): readonly WantedInterface[] {
  return (vm.properties.networkProfile as NetworkProfile | undefined)?.networkInterfaces ?? [];
}

function interfaceFor(world: World, home: { readonly id: string; readonly location: string }, id: string): Resource {
  const found = world.resources.find(id);
  if (found === undefined) throw new AzureError(404, "NotFound", `Network interface ${id} is not found.`);
  const user = machineOf(found);
  if (user !== undefined && user.toLowerCase() !== home.id.toLowerCase()) throw interfaceInUse(found.id, user);
  if (found.location.toLowerCase() !== home.location.toLowerCase())
    throw invalid("networkInterfaces.id", `${found.id} is in ${found.location}, not in ${home.location}.`);
  return found;
}

function freedInterface(world: World, vmId: string, id: string): Entry[] {
  const found = world.resources.find(id);
  if (found === undefined || machineOf(found)?.toLowerCase() !== vmId.toLowerCase()) return [];
  const { virtualMachine: _freed, ...properties } = found.properties;
  return [keep({ ...found, properties })];
}
