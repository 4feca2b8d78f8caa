// Classic machines: read by plain requests, for no client of Azure's covers them any more. Their disks are page blobs, each
// a fixed VHD.

import { z } from "zod";
import { FOOTER_BYTES } from "../base/vhd-footer.ts";
import type { Machine, MachineDisk, MachineSummary } from "../ports/machines.ts";
import type { Arm } from "./arm.ts";
import { failureOf, found, isAbsentProvider } from "./azure-failures.ts";
import { classicBlob } from "./classic-blob.ts";
import { parseResourceId } from "./resource-path.ts";

export const CLASSIC_MACHINES = "Microsoft.ClassicCompute/virtualMachines";
const API_VERSION = "2016-11-01";

const diskSchema = z.looseObject({
  diskName: z.string().default(""),
  vhdUri: z.url(),
  lun: z.number().int().optional(),
  operatingSystem: z.string().optional(),
  sourceImageName: z.string().optional(),
  storageAccount: z.looseObject({ id: z.string().optional() }).optional(),
});
const machineSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  location: z.string(),
  properties: z.looseObject({
    provisioningState: z.string().default("Succeeded"),
    hardwareProfile: z.looseObject({ size: z.string().default(""), deploymentId: z.string().optional() }).optional(),
    instanceView: z
      .looseObject({
        powerState: z.string().default("unknown"),
        guestAgentStatus: z
          .looseObject({ guestAgentVersion: z.string().default(""), status: z.string().default("") })
          .optional(),
      })
      .optional(),
    storageProfile: z
      .looseObject({ operatingSystemDisk: diskSchema.optional(), dataDisks: z.array(diskSchema).default([]) })
      .optional(),
  }),
});
const pageSchema = z.looseObject({ value: z.array(machineSchema), nextLink: z.string().nullish() });

type ClassicMachine = z.infer<typeof machineSchema>;

/** Where a disk of a Classic machine is. */
export interface ClassicDisk {
  readonly lun: number;
  readonly name: string;
  readonly url: string;
  readonly image: string | undefined;
}

export async function* listClassicMachines(
  arm: Arm,
  subscriptionId: string,
): AsyncGenerator<readonly MachineSummary[]> {
  let link: string | undefined = `/subscriptions/${subscriptionId}/providers/${CLASSIC_MACHINES}`;
  while (link !== undefined) {
    let answer: unknown;
    try {
      answer = await arm.request("GET", link, API_VERSION);
    } catch (thrown) {
      if (isAbsentProvider(thrown)) return;
      throw failureOf(thrown, `The classic machines of subscription ${subscriptionId}`);
    }
    const page = pageSchema.parse(answer);
    yield page.value.map(summaryOf);
    link = page.nextLink ?? undefined;
  }
}

export async function readClassicMachine(arm: Arm, machineId: string): Promise<Machine | undefined> {
  const answer = await found(machineId, () => arm.request("GET", machineId, API_VERSION));
  if (answer === undefined) return undefined;
  const vm = machineSchema.parse(answer);
  const { provisioningState, hardwareProfile, instanceView, storageProfile } = vm.properties;
  const agent = instanceView?.guestAgentStatus;
  return {
    ...summaryOf(vm),
    vmId: hardwareProfile?.deploymentId ?? vm.id.toLowerCase(),
    sizeName: hardwareProfile?.size ?? "",
    osType: storageProfile?.operatingSystemDisk?.operatingSystem === "Windows" ? "Windows" : "Linux",
    power: POWER[instanceView?.powerState ?? ""] ?? (instanceView?.powerState ?? "unknown").toLowerCase(),
    provisioning: provisioningState.toLowerCase(),
    agent: {
      state: agent === undefined ? "absent" : agent.status === "Ready" ? "ready" : "not-ready",
      version: agent?.guestAgentVersion ?? "",
    },
    securityType: "Standard",
    zones: [],
    disks: await Promise.all(disksOf(vm).map((disk) => describeDisk(arm, disk))),
    configuration: JSON.stringify(answer),
  };
}

/** The disks of a Classic machine; undefined when it is not there. */
export async function readClassicDisks(arm: Arm, machineId: string): Promise<readonly ClassicDisk[] | undefined> {
  const answer = await found(machineId, () => arm.request("GET", machineId, API_VERSION));
  return answer === undefined ? undefined : disksOf(machineSchema.parse(answer));
}

const POWER: Readonly<Record<string, string>> = { Started: "running", Stopped: "stopped" };

function summaryOf({ id, name, location }: ClassicMachine): MachineSummary {
  return { id, kind: "classic", name, resourceGroup: parseResourceId(id).resourceGroup, location };
}

function disksOf({ properties: { storageProfile } }: ClassicMachine): ClassicDisk[] {
  const { operatingSystemDisk, dataDisks = [] } = storageProfile ?? {};
  const all = [...(operatingSystemDisk === undefined ? [] : [{ ...operatingSystemDisk, lun: -1 }]), ...dataDisks];
  return all.map(({ lun = 0, diskName, vhdUri, sourceImageName }) => ({
    lun,
    name: diskName,
    url: vhdUri,
    image: lun === -1 ? sourceImageName : undefined,
  }));
}

async function describeDisk(arm: Arm, { lun, name, url, image }: ClassicDisk): Promise<MachineDisk> {
  const properties = await found(name, () => classicBlob(url, arm.credential).getProperties());
  return {
    lun,
    name,
    diskId: url,
    sizeBytes: Math.max(0, (properties?.contentLength ?? 0) - FOOTER_BYTES),
    skuName: "",
    imageReference: image,
    isReadable: properties !== undefined,
  };
}
