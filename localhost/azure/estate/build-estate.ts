// Making an estate real: its description becomes resources and volumes, committed in a few large steps. Done once, when the
// data folder is new; afterwards the folder is the truth.
import { createHash } from "node:crypto";
import { groupResource, LOCKS, subscriptionKey } from "../arm/groups-and-locks.ts";
import { keep, type Resource } from "../arm/resources.ts";
import { resourceId } from "../arm/target.ts";
import type { World } from "../arm/world.ts";
import { CLASSIC_ACCOUNTS, CLASSIC_DOMAINS, CLASSIC_VMS } from "../classic/classic-arm.ts";
import { GIB } from "../compute/disk-model.ts";
import { FaultPlan } from "../faults/fault-plan.ts";
import type { Entry } from "../state/entry.ts";
import { type BuiltImage, type BuiltImages, buildImages, imageOf } from "./estate-images.ts";
import type { Estate, EstateGroup } from "./estate-schema.ts";
import { machineEntries } from "./machine-entries.ts";

const ENTRIES_PER_COMMIT = 2000;
const BUILT = "estate/built";

/** `path` of the estate file: image paths are relative to it. Says whether a folder that is not new had another estate. */
export async function buildEstate(
  world: World,
  estate: Estate,
  path: string | undefined,
): Promise<"built" | "kept" | "kept-another"> {
  const described = createHash("sha256")
    .update(JSON.stringify([estate.subscriptions, estate.images]))
    .digest("hex");
  const kept = world.state.document(BUILT);
  if (kept !== undefined) return kept === described ? "kept" : "kept-another";
  const images = await buildImages(world, estate, path);
  const entries: Entry[] = estate.faults.map((rule) => ({
    kind: "document",
    key: FaultPlan.key(rule.name),
    value: rule,
  }));
  for (const { id, name, groups } of estate.subscriptions) {
    entries.push({ kind: "document", key: subscriptionKey(id), value: { id, name } });
    for (const group of groups) entries.push(...groupEntries(world, id, group, images));
  }
  for (let at = 0; at < entries.length; at += ENTRIES_PER_COMMIT)
    await world.state.commit(entries.slice(at, at + ENTRIES_PER_COMMIT));
  await world.state.commit([{ kind: "document", key: BUILT, value: described }]);
  return "built";
}

function groupEntries(world: World, subscription: string, group: EstateGroup, images: BuiltImages): Entry[] {
  const { name, location } = group;
  const id = (provider: string, type: string, own: string) => resourceId(subscription, name, provider, type, own);
  const network: Resource = {
    id: id("Microsoft.Network", "virtualNetworks", `${name}-vnet`),
    location,
    properties: {
      addressSpace: { addressPrefixes: ["10.0.0.0/16"] },
      subnets: [{ name: "default", properties: { addressPrefix: "10.0.0.0/20" } }],
    },
    inner: {},
  };
  const entries: Entry[] = [keep(groupResource(subscription, name, location)), keep(network)];
  if (group.lock !== undefined)
    entries.push(
      keep({
        id: id("Microsoft.Authorization", LOCKS.split("/")[1] ?? "", `${name}-lock`),
        location: "global",
        properties: { level: group.lock },
        inner: {},
      }),
    );
  const place = { world, subscription, group, images, networkId: network.id };
  for (const vm of group.virtualMachines) entries.push(...machineEntries(place, vm));
  for (const account of group.storageAccounts)
    entries.push(
      keep({
        id: id("Microsoft.Storage", "storageAccounts", account.name),
        location,
        kind: "StorageV2",
        sku: { name: account.sku, tier: "Standard" },
        properties: { minimumTlsVersion: "TLS1_2", allowBlobPublicAccess: false },
        inner: { createdAt: world.now() },
      }),
    );
  for (const machine of group.classicMachines)
    entries.push(...classicEntries(world, id, location, machine, imageOf(images, machine.image)));
  return entries;
}

function classicEntries(
  world: World,
  id: (provider: string, type: string, own: string) => string,
  location: string,
  { name, cloudService, storageAccount, os, dataDisksGiB }: EstateGroup["classicMachines"][number],
  image: BuiltImage,
): Entry[] {
  const volume = world.disks.newId();
  const data = dataDisksGiB.map((gib, lun) => ({
    volume: world.disks.newId(),
    blob: `${name}-data-${lun}.vhd`,
    sizeBytes: gib * GIB,
  }));
  const accountId = id("Microsoft.ClassicStorage", CLASSIC_ACCOUNTS.split("/")[1] ?? "", storageAccount);
  const domainId = id("Microsoft.ClassicCompute", CLASSIC_DOMAINS.split("/")[1] ?? "", cloudService);
  return [
    {
      kind: "volume-created",
      id: volume,
      sizeBytes: image.sizeBytes,
      ...(image.source === undefined ? {} : { from: image.source }),
    },
    ...data.map(({ volume: own, sizeBytes }): Entry => ({ kind: "volume-created", id: own, sizeBytes })),
    keep({ id: accountId, location, properties: {}, inner: {} }),
    keep({
      id: domainId,
      location,
      properties: { label: cloudService, hostName: `${cloudService}.cloudapp.net` },
      inner: {},
    }),
    keep({
      id: id("Microsoft.ClassicCompute", CLASSIC_VMS.split("/")[1] ?? "", name),
      location,
      properties: {
        domainName: { id: domainId, name: cloudService, type: CLASSIC_DOMAINS },
        hardwareProfile: { size: "Standard_D2_v2", platformGuestAgent: true },
      },
      inner: {
        power: "running",
        os,
        domain: cloudService,
        agentVersion: "2.7.41491.1176",
        account: { id: accountId, name: storageAccount },
        disks: [{ blob: `${name}-os.vhd`, volume }, ...data.map(({ blob, volume: own }) => ({ blob, volume: own }))],
      },
    }),
  ];
}
