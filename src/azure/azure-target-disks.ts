// Disks that a restore makes, as managed disks. Each carries the job that makes it as a tag; a disk without that tag is
// somebody else's and left alone. A PUT over somebody else's disk would change it, so who makes one looks first, and asks
// Azure to refuse if one has come up in between.

import { createHash } from "node:crypto";
import type { Disk } from "@azure/arm-compute";
import { HoldfastFailure } from "../base/failure.ts";
import { FOOTER_BYTES, fixedVhdFooter } from "../base/vhd-footer.ts";
import type { DiskSink } from "../ports/disk-sink.ts";
import type { NewDisk, TargetDisk, TargetDisks } from "../ports/target-disks.ts";
import type { Arm } from "./arm.ts";
import { asked, found } from "./azure-failures.ts";
import type { DiskAccess } from "./disk-access.ts";
import { RenewedBlob } from "./renewed-blob.ts";
import { parseTyped } from "./resource-path.ts";
import { uploadSink, writePages } from "./upload-sink.ts";

const DISKS = "Microsoft.Compute/disks";
const OWNER_TAG = "holdfast-job";
const GROUPS_API_VERSION = "2021-04-01";
const PAGE_BYTES = 512;

export function azureTargetDisks(arm: Arm, access: DiskAccess): TargetDisks {
  return new AzureTargetDisks(arm, access);
}

class AzureTargetDisks implements TargetDisks {
  private readonly arm: Arm;
  private readonly access: DiskAccess;

  constructor(arm: Arm, access: DiskAccess) {
    this.arm = arm;
    this.access = access;
  }

  async readGroup(subscriptionId: string, resourceGroup: string): Promise<{ readonly location: string } | undefined> {
    const path = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
    const group = await found(path, () => this.arm.request("GET", path, GROUPS_API_VERSION));
    return group === undefined ? undefined : { location: (group as { location: string }).location };
  }

  async read(diskId: string): Promise<TargetDisk | undefined> {
    const disk = await this.find(diskId);
    return disk === undefined ? undefined : { state: stateOf(disk), owner: disk.tags?.[OWNER_TAG] };
  }

  beginUpload(request: NewDisk): Promise<void> {
    const uploadSizeBytes = Math.ceil(request.sizeBytes / PAGE_BYTES) * PAGE_BYTES + FOOTER_BYTES;
    return this.begin(request, { createOption: "Upload", uploadSizeBytes });
  }

  beginFromSnapshot(request: NewDisk & { readonly snapshotDiskId: string }): Promise<void> {
    const { snapshotDiskId } = request;
    if (/^https?:/.test(snapshotDiskId)) {
      const message = "The snapshot of a classic machine's disk cannot become a managed disk";
      const hint = "Restore from the vault's copy instead.";
      return Promise.reject(new HoldfastFailure("invalid", "HoldfastClassicSnapshot", message, { hint }));
    }
    return this.begin(request, { createOption: "Restore", sourceResourceId: snapshotDiskId });
  }

  async openForWriting(diskId: string): Promise<DiskSink> {
    await this.access.url(diskId, "Write");
    return uploadSink(this.blobOf(diskId));
  }

  async finishUpload(diskId: string): Promise<void> {
    const disk = await this.find(diskId);
    if (disk === undefined) throw new HoldfastFailure("not-found", "ResourceNotFound", `${diskId} is not there`);
    if (stateOf(disk) === "ready") return;
    const sizeBytes = (disk.creationData?.uploadSizeBytes ?? 0) - FOOTER_BYTES;
    const uniqueId = createHash("sha256")
      .update(disk.uniqueId ?? diskId)
      .digest()
      .subarray(0, 16);
    const footer = fixedVhdFooter(sizeBytes, uniqueId, disk.timeCreated ?? new Date());
    await writePages(this.blobOf(diskId), sizeBytes, footer);
    await this.access.end(diskId);
  }

  async remove(diskId: string, owner: string): Promise<"gone" | "going"> {
    const disk = await this.find(diskId);
    if (disk === undefined || disk.tags?.[OWNER_TAG] !== owner) return "gone";
    if (/^Active/.test(disk.diskState ?? "")) await this.endWhatever(diskId);
    const { compute, resourceGroup, name } = this.path(diskId);
    await found(diskId, () => compute.disks.delete(resourceGroup, name).submitted());
    return (await this.find(diskId)) === undefined ? "gone" : "going";
  }

  private async begin(request: NewDisk, creationData: NonNullable<Disk["creationData"]>): Promise<void> {
    const { diskId, location, zones, skuName, osType, hyperVGeneration, owner } = request;
    const known = await this.find(diskId);
    if (known?.tags?.[OWNER_TAG] === owner) return;
    if (known !== undefined) throw foreign(diskId);
    const { compute, resourceGroup, name } = this.path(diskId);
    const disk = {
      location,
      ...(zones.length === 0 ? {} : { zones: [...zones] }),
      sku: { name: skuName },
      tags: { [OWNER_TAG]: owner },
      ...(osType === undefined ? {} : { osType }),
      ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
      creationData,
    };
    const unlessThere = { requestOptions: { headers: { "If-None-Match": "*" } } };
    try {
      await asked(diskId, () => compute.disks.createOrUpdate(resourceGroup, name, disk, unlessThere).submitted());
    } catch (thrown) {
      // Another call for the same job may have been first, or the answer to ours was lost.
      if (!(thrown instanceof HoldfastFailure) || thrown.kind !== "conflict") throw thrown;
      const now = await this.find(diskId);
      if (now === undefined) throw thrown;
      if (now.tags?.[OWNER_TAG] !== owner) throw foreign(diskId);
    }
  }

  /** An upload that nobody finishes is no VHD, which Azure finds worth mentioning; access ends all the same. */
  private async endWhatever(diskId: string): Promise<void> {
    try {
      await this.access.end(diskId);
    } catch (thrown) {
      const isUnfinished =
        thrown instanceof HoldfastFailure && (thrown.kind === "conflict" || thrown.kind === "invalid");
      if (!isUnfinished) throw thrown;
    }
  }

  private blobOf(diskId: string): RenewedBlob {
    return new RenewedBlob({
      client: () => this.access.blob(diskId, "Write"),
      refused: (url) => this.access.refused(url),
    });
  }

  private find(diskId: string): Promise<Disk | undefined> {
    const { compute, resourceGroup, name } = this.path(diskId);
    return found(diskId, () => compute.disks.get(resourceGroup, name));
  }

  private path(diskId: string) {
    const { subscriptionId, resourceGroup, name } = parseTyped(diskId, DISKS);
    return { compute: this.arm.compute(subscriptionId), resourceGroup, name };
  }
}

function stateOf({ provisioningState, diskState }: Disk): TargetDisk["state"] {
  if (provisioningState === "Failed" || provisioningState === "Canceled") return "failed";
  if (provisioningState !== "Succeeded") return "pending";
  return diskState === "ReadyToUpload" || diskState === "ActiveUpload" ? "waits-for-upload" : "ready";
}

function foreign(diskId: string): HoldfastFailure {
  return new HoldfastFailure("conflict", "HoldfastDiskExists", `${diskId} is there already, and not of this restore`, {
    hint: "Choose another name, or remove the disk.",
  });
}
