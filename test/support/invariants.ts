// What must hold whenever no job is under way, whatever has happened before: the service's promises in one place. Names I1 to
// I9 are those of the design's list of invariants.

import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import type { PhaseBody, SlotBody } from "../../src/control/rows/work-rows.ts";
import { statusOfJob } from "../../src/domain/job.ts";
import { verifyVault } from "../../src/vault/verify.ts";
import type { MemoryCloud } from "./memory-cloud.ts";
import type { TestService } from "./service.ts";
import { openArchive } from "./service-work.ts";

interface Exceptions {
  /** Snapshots that the test itself took away behind the service's back, by the name of the snapshot. */
  readonly lost?: ReadonlySet<string>;
}

/** Every broken promise, in words. */
export async function brokenPromises(
  service: TestService,
  cloud: MemoryCloud | undefined,
  exceptions: Exceptions = {},
): Promise<string[]> {
  const jobs = service.tables.bodiesOf("jobs") as JobBody[];
  const points = service.tables.bodiesOf("points") as PointBody[];
  return [
    ...jobs.flatMap(jobFaults),
    ...twiceScheduled(jobs),
    ...pointFaults(jobs, points),
    ...itemFaults(service.tables.bodiesOf("items") as ItemBody[], jobs, points, exceptions),
    ...leftInTables(service),
    ...leftInState(service),
    ...(cloud ? leftInCloud(cloud, jobs, points, exceptions) : []),
    ...(await vaultFaults(service)),
  ];
}

/** I6, and that every job ends. */
function jobFaults({ id, endedAt, status, tasks }: JobBody): string[] {
  if (endedAt === null) return [`job ${id} has not ended: ${status}`];
  const said = statusOfJob(tasks, false);
  return said === status ? [] : [`job ${id} is ${status}, and its sub-tasks say ${said}`];
}

/** I7. */
function twiceScheduled(jobs: readonly JobBody[]): string[] {
  const seen = new Set<string>();
  const faults: string[] = [];
  for (const { item, backup } of jobs) {
    if (!backup?.scheduledAt) continue;
    const key = `${item.toLowerCase()} at ${backup.scheduledAt}`;
    if (seen.has(key)) faults.push(`two runs of ${key}`);
    seen.add(key);
  }
  return faults;
}

function pointFaults(jobs: readonly JobBody[], points: readonly PointBody[]): string[] {
  return points.flatMap(({ pointId, jobId, archive }) => {
    const job = jobs.find(({ id }) => id === jobId);
    if (!job) return [];
    const [snapshot, transfer] = job.tasks;
    const faults: string[] = [];
    if (snapshot?.status !== "Completed")
      faults.push(`point ${pointId} stands, and its snapshot is ${snapshot?.status}`);
    if (archive && transfer?.status !== "Completed")
      faults.push(`point ${pointId} is in the vault, and its transfer is ${transfer?.status}`);
    if (!archive && transfer?.status === "Completed")
      faults.push(`point ${pointId} is transferred, and its row does not know`);
    return faults;
  });
}

/** I4, I8. */
function itemFaults(
  items: readonly ItemBody[],
  jobs: readonly JobBody[],
  points: readonly PointBody[],
  { lost = new Set() }: Exceptions,
): string[] {
  return items.flatMap((item) => {
    const own = points.filter(({ jobId }) => jobs.find(({ id }) => id === jobId)?.item === item.name);
    const faults: string[] = [];
    const hasPoint = own.some(({ archive, snapshot }) => archive !== null || snapshot.state === "valid");
    const hadPoint = jobs.some((job) => job.item === item.name && job.backup && job.tasks[0]?.status === "Completed");
    if (hadPoint && !hasPoint) faults.push(`${item.machineName} had a point, and has none`);
    const inVault = own.filter(({ archive }) => archive !== null);
    const newest = inVault.toSorted((one, other) => (one.pointId < other.pointId ? 1 : -1))[0];
    const isLost = newest !== undefined && [...lost].some((name) => name.endsWith(newest.jobId));
    if (newest && newest.snapshot.state !== "valid" && !isLost)
      faults.push(`the next backup of ${item.machineName} has no base: its snapshot is ${newest.snapshot.state}`);
    return faults;
  });
}

function leftInTables({ tables }: TestService): string[] {
  const phases = (tables.bodiesOf("phases") as PhaseBody[]).filter(({ holder }) => holder !== null);
  const slots = (tables.bodiesOf("slots") as SlotBody[]).filter(({ holder }) => holder !== null);
  return [
    ...phases.map(({ holder }) => `a phase is held by ${holder}`),
    ...slots.map(({ holder }) => `a place is held by ${holder}`),
  ];
}

function leftInState({ archive }: TestService): string[] {
  return [...archive.stores.values()].flatMap(({ state }) => state.names("pins/").map((name) => `${name} is left`));
}

function leftInCloud(
  cloud: MemoryCloud,
  jobs: readonly JobBody[],
  points: readonly PointBody[],
  { lost = new Set() }: Exceptions,
): string[] {
  const known = points.flatMap(({ snapshot }) => (snapshot.ref ? [snapshot.ref.name] : []));
  // One that is leaving may have gone without its row having been told; the next pass finds that.
  const valid = points.flatMap(({ snapshot }) =>
    snapshot.ref && snapshot.state === "valid" ? [snapshot.ref.name] : [],
  );
  const there = [...cloud.snapshots.values()].map(({ ref }) => ref.name);
  const restored = jobs.filter(({ restore, status }) => restore && status === "Completed");
  const wanted = restored.flatMap(({ restore }) => restore?.disks.map(({ targetDiskId }) => targetDiskId) ?? []);
  const made = [...cloud.targets].filter(([, { owner }]) => owner !== "somebody else");
  return [
    ...there.filter((name) => !known.includes(name)).map((name) => `snapshot ${name} belongs to no point`),
    ...valid.filter((name) => !there.includes(name) && !lost.has(name)).map((name) => `snapshot ${name} is gone`),
    ...[...cloud.openAccess].map((id) => `access to ${id} is open`),
    ...made.filter(([id]) => !wanted.includes(id)).map(([id]) => `disk ${id} is left`),
    ...made.filter(([, { state }]) => state !== "ready").map(([id]) => `disk ${id} is not whole`),
    ...wanted.filter((id) => !cloud.targets.has(id)).map((id) => `disk ${id} is missing`),
  ];
}

/** I1, I2. */
async function vaultFaults(service: TestService): Promise<string[]> {
  const { findings } = await verifyVault(await openArchive(service), { data: "all" });
  return findings.map(({ kind, message }) => `${kind}: ${message}`);
}
