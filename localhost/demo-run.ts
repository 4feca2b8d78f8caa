// One backup and one restore through the API, with a progress bar, and the comparison of every byte. Whoever makes backups may
// not read disks, so the reading, the deleting and the making of groups is done as the owner.

import { setTimeout as sleep } from "node:timers/promises";
import { bytesText, standardOutput } from "../cli/output.ts";
import { Progress } from "../cli/progress.ts";
import { HoldfastFailure } from "../src/base/failure.ts";
import { ArmClient, type ArmPlace } from "./arm-client.ts";
import {
  BACKUP_API,
  DEMO_GROUP,
  DEMO_VAULT,
  itemPath,
  machineId,
  SUBSCRIPTION,
  setUpDemoVault,
  startBackup,
} from "./demo-vault.ts";
import { contentBytes, type DiskDigest, digestByAccess, firstDifference } from "./sas-disk.ts";

const COMPUTE_API = "2024-07-01";
const DISKS_API = "2024-03-02";
const GROUPS_API = "2021-04-01";
const TARGET_GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/demo-restore`;
const STAGING = `${DEMO_GROUP}/providers/Microsoft.Storage/storageAccounts/demostaging`;
const POLL_MS = 250;
/** Scheduled backups of the same machine may be under way. */
const BUSY_PATIENCE_MS = 5 * 60_000;
const BUSY_WAIT_MS = 2_000;
const MAX_BACKUPS = 5;

interface SnapshotDisk {
  readonly name: string;
  readonly diskRestorePointId: string;
}

interface RunJob {
  readonly id: string;
  readonly seconds: number;
  readonly bag: Readonly<Record<string, string>>;
}

interface Compared {
  readonly name: string;
  readonly restoredId: string;
  readonly sizeBytes: number;
  readonly contentBytes: number;
}

export class Demo {
  private readonly backups: ArmClient;
  private readonly owner: ArmClient;
  private readonly place: ArmPlace;
  private readonly machine: string;
  private readonly output = standardOutput;

  constructor(place: ArmPlace, machine: string) {
    this.place = place;
    this.machine = machine;
    this.backups = new ArmClient(place, "contributor");
    this.owner = new ArmClient(place, "owner");
  }

  async run(keep: boolean) {
    await this.prepare();
    const { backup, pointPath } = await this.backUp();
    const snapshot = await this.snapshotOf(backup.id);
    const before = await this.digests(snapshot.disks.map((disk) => ({ ...disk, id: disk.diskRestorePointId })));
    this.output.complain(`Its snapshot holds ${amountOf([...before.values()])}, read by SAS.`);
    await this.owner.complete("DELETE", snapshot.id, COMPUTE_API);
    this.output.complain("The snapshot is deleted, as if it were lost: what comes now can only come from the vault.");
    const restore = await this.restore(pointPath);
    const restored = await this.restoredDisks(restore.id, snapshot.disks);
    try {
      const after = await this.digests(restored);
      const disks = compare(before, after, restored);
      return { machine: this.machine, backup: toldOf(backup), restore: toldOf(restore), disks };
    } finally {
      if (!keep) await this.cleanUp(restored.map(({ id }) => id));
    }
  }

  private async prepare(): Promise<void> {
    const demo = await setUpDemoVault(this.place, [this.machine]);
    if (demo && demo.protectedMachines.length > 0) return;
    throw new HoldfastFailure(
      "not-found",
      "NoMachine",
      `The estate has no machine ${this.machine} in a group "demo".`,
      {
        hint: "Name another with --machine.",
      },
    );
  }

  /** A transfer is skipped while another one is under way; this wants a point that the vault has. */
  private async backUp(): Promise<{ readonly backup: RunJob; readonly pointPath: string }> {
    for (let attempt = 1; ; attempt++) {
      await this.untilIdle();
      const backup = await this.finished(await this.startBackup(), `Backing up ${this.machine}`);
      const { time } = await this.snapshotOf(backup.id);
      const points = this.backups.list(`${itemPath(this.machine)}/recoveryPoints`, BACKUP_API);
      for await (const { id, properties } of points) {
        const isOfJob = Date.parse(properties.recoveryPointTime) === Date.parse(time);
        const tiers: { type: string; status: string }[] = properties.recoveryPointTierDetails;
        if (isOfJob && tiers.some(({ type, status }) => type === "HardenedRP" && status === "Valid")) {
          this.output.complain(
            `Backed up ${this.machine} in ${backup.seconds.toFixed(1)} s: ${backup.bag["Backup Size"]} read.`,
          );
          return { backup, pointPath: id };
        }
      }
      if (attempt === MAX_BACKUPS) throw new HoldfastFailure("conflict", "NotInVault", "No backup reached the vault.");
    }
  }

  /** The first backup of a machine that was only just protected, or a scheduled one. */
  private async untilIdle(): Promise<void> {
    const filter = encodeURIComponent("operation eq 'Backup' and status eq 'InProgress'");
    for await (const { name, properties } of this.backups.list(
      `${DEMO_VAULT}/backupJobs?$filter=${filter}`,
      BACKUP_API,
    )) {
      if (properties.entityFriendlyName !== this.machine) continue;
      await this.finished(name, "A backup that is under way already").catch(() => undefined);
    }
  }

  private async startBackup(): Promise<string> {
    const deadline = performance.now() + BUSY_PATIENCE_MS;
    for (;;) {
      try {
        return await startBackup(this.backups, this.machine);
      } catch (cause) {
        const isBusy = cause instanceof HoldfastFailure && cause.kind === "conflict";
        if (!isBusy || performance.now() > deadline) throw cause;
      }
      await sleep(BUSY_WAIT_MS);
    }
  }

  private async finished(job: string, what: string): Promise<RunJob> {
    const progress = new Progress(this.output, what);
    const startMs = performance.now();
    try {
      for (;;) {
        const { properties } = (await this.backups.request("GET", `${DEMO_VAULT}/backupJobs/${job}`, BACKUP_API)).body;
        const { doneBytes, totalBytes, propertyBag } = properties.extendedInfo;
        if (totalBytes > 0) progress.show(doneBytes, totalBytes);
        if (properties.status === "Completed") {
          return { id: job, seconds: (performance.now() - startMs) / 1000, bag: propertyBag };
        }
        if (properties.endTime !== undefined) throw jobFailure(what, properties);
        await sleep(POLL_MS);
      }
    } finally {
      progress.end();
    }
  }

  /** Snapshots are named by the jobs that took them. */
  private async snapshotOf(job: string) {
    const collections = this.owner.list(
      `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Compute/restorePointCollections`,
      COMPUTE_API,
    );
    for await (const collection of collections) {
      const id = `${collection.id}/restorePoints/AzureBackup_${job}`;
      const point = await this.owner.find(id, COMPUTE_API);
      if (!point) continue;
      const { osDisk, dataDisks = [] } = point.properties.sourceMetadata.storageProfile;
      const disks: SnapshotDisk[] = [osDisk, ...dataDisks].map(({ name, diskRestorePoint }) => ({
        name,
        diskRestorePointId: diskRestorePoint.id,
      }));
      return { id, disks, time: point.properties.timeCreated as string };
    }
    throw new HoldfastFailure("not-found", "NoSnapshot", `The snapshot of job ${job} is not to be found.`);
  }

  private async digests(disks: readonly { readonly name: string; readonly id: string }[]) {
    const digests = new Map<string, DiskDigest>();
    for (const { name, id } of disks) digests.set(name, await digestByAccess(this.owner, id));
    return digests;
  }

  private async restore(pointPath: string): Promise<RunJob> {
    await this.owner.request("PUT", TARGET_GROUP, GROUPS_API, { location: "westeurope" });
    const properties = {
      objectType: "IaasVMRestoreRequest",
      recoveryPointId: pointPath.split("/").at(-1),
      recoveryType: "RestoreDisks",
      sourceResourceId: machineId(this.machine),
      storageAccountId: STAGING,
      targetResourceGroupId: TARGET_GROUP,
      region: "westeurope",
    };
    const { jobId } = await this.backups.complete("POST", `${pointPath}/restore`, BACKUP_API, { properties });
    const restore = await this.finished(jobId, `Restoring ${this.machine}`);
    this.output.complain(`Restored it to new disks in ${restore.seconds.toFixed(1)} s.`);
    return restore;
  }

  /** Named after the disk they are of, and the job. */
  private async restoredDisks(job: string, disks: readonly SnapshotDisk[]) {
    const found: { name: string; id: string }[] = [];
    const all = this.owner.list(`${TARGET_GROUP}/providers/Microsoft.Compute/disks`, DISKS_API);
    for await (const { id, name } of all) {
      const source = disks.find((disk) => name === `${disk.name}-${job.slice(-12)}`);
      if (source) found.push({ name: source.name, id });
    }
    return found;
  }

  private async cleanUp(diskIds: readonly string[]): Promise<void> {
    for (const id of diskIds) await this.owner.complete("DELETE", id, DISKS_API);
    const left = this.owner.list(`${TARGET_GROUP}/providers/Microsoft.Compute/disks`, DISKS_API);
    for await (const _disk of left) return;
    await this.owner.complete("DELETE", TARGET_GROUP, GROUPS_API);
  }
}

const toldOf = ({ id, seconds }: RunJob) => ({ job: id, seconds });

function compare(
  before: ReadonlyMap<string, DiskDigest>,
  after: ReadonlyMap<string, DiskDigest>,
  restored: readonly { readonly name: string; readonly id: string }[],
): Compared[] {
  return [...before].map(([name, digest]) => {
    const other = after.get(name);
    const difference = other === undefined ? "it was not restored" : firstDifference(digest, other);
    if (difference !== undefined) throw new HoldfastFailure("corrupt", "NotEqual", `Disk ${name}: ${difference}.`);
    const restoredId = restored.find((disk) => disk.name === name)?.id ?? "";
    return { name, restoredId, sizeBytes: digest.sizeBytes, contentBytes: contentBytes(digest) };
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a job as the API shows it.
function jobFailure(what: string, { status, errorDetails = [] }: any): HoldfastFailure {
  const why = errorDetails.map(({ errorString }: { errorString: string }) => errorString).join("; ");
  return new HoldfastFailure("conflict", "JobFailed", `${what}: ${status}. ${why}`);
}

function amountOf(digests: readonly DiskDigest[]): string {
  const size = digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const content = digests.reduce((sum, digest) => sum + contentBytes(digest), 0);
  return `${digests.length} ${digests.length === 1 ? "disk" : "disks"} of ${bytesText(size)}, ${bytesText(content)} of them content`;
}

export function summaryOf({ machine, backup, restore, disks }: Awaited<ReturnType<Demo["run"]>>): string {
  const content = disks.reduce((sum, disk) => sum + disk.contentBytes, 0);
  const names = disks.map(({ name }) => name).join(", ");
  return `${machine} (${names}; ${bytesText(content)}): backup ${backup.seconds.toFixed(1)} s, restore ${restore.seconds.toFixed(1)} s.`;
}
