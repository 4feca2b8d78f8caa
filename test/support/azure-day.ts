// A day of one machine over the simulated Azure: two backups while it writes, a restore from the snapshot, the snapshot's
// removal, a restore from the vault; and one thing that goes wrong in one phase of it. Whatever fails is tried again when all is
// calm, and has to succeed then. Then everything that is wrong with the world is told.

import { HoldfastFailure } from "../../src/base/failure.ts";
import { releaseSnapshot } from "../../src/control/point-removal.ts";
import type { ItemBody } from "../../src/control/rows/item-row.ts";
import type { JobBody } from "../../src/control/rows/job-row.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import type { ServiceAzure } from "./azure-service.ts";
import { PHASES, type Step, type Strike } from "./fault-table.ts";
import { brokenPromises } from "./invariants.ts";
import { readDisk, readMachine } from "./read-azure.ts";
import { type TestService, VAULT } from "./service.ts";
import { beginRestore, disksInVault, startBackup } from "./service-work.ts";

export interface Struck {
  /** How many requests. */
  readonly count: number;
  /** Whose phase it was; a removal belongs to none. */
  readonly job: JobBody | undefined;
}

export class AzureDay {
  private readonly azure: ServiceAzure;
  private readonly service: TestService;
  private readonly item: ItemBody;
  /** What each snapshot held, by its point. */
  private readonly held = new Map<string, readonly Buffer[]>();
  private readonly lost = new Set<string>();
  private readonly wrong: string[] = [];
  private readonly struck = new Map<Strike, Struck>();
  private standing: Strike[] = [];
  private step: Step | undefined;

  constructor(azure: ServiceAzure, service: TestService, item: ItemBody) {
    this.azure = azure;
    this.service = service;
    this.item = item;
  }

  /** Answers what became of each strike; one whose phase never came is missing. */
  async live(strikes: readonly Strike[]): Promise<ReadonlyMap<Strike, Struck>> {
    const { service, item } = this;
    await this.completed(() => this.backUp());
    await this.azure.live(10);
    // Nothing is written from here on: what the machine holds is what a snapshot of it does.
    const disks = await readMachine(this.azure, item.machineId);
    this.arm(strikes);
    this.step = "backup";
    await this.completed(() => this.backUp());
    const point = await this.newestPoint();
    this.held.set(point.pointId, disks);
    this.step = "instant restore";
    await this.compareDisks(point, await this.completed(() => beginRestore(service, item, point)));
    this.step = "removal";
    await this.removeSnapshot(point);
    this.step = "restore";
    await this.compareDisks(point, await this.completed(() => beginRestore(service, item, point)));
    return this.struck;
  }

  /** In words. */
  async faults(): Promise<string[]> {
    const { service, item } = this;
    const faults = [...this.wrong, ...(await brokenPromises(service, undefined, { lost: this.lost }))];
    for (const point of await service.points(item)) {
      const held = this.held.get(point.pointId);
      if (point.archive && held && !areSame(held, await disksInVault(service, item, point)))
        faults.push(`the vault does not hold what the snapshot of ${point.pointId} held`);
    }
    return [...faults, ...(await this.leftInAzure())];
  }

  private async backUp(): Promise<string> {
    await this.service.pass(1_000);
    return startBackup(this.service, this.item);
  }

  /** What did not complete is begun once more, when all is calm. */
  private async completed(begin: () => Promise<string>): Promise<JobBody> {
    const job = await this.ended(begin);
    if (job.status === "Completed") return job;
    const again = await this.ended(begin);
    if (again.status !== "Completed") this.wrong.push(`all is calm, and job ${again.id} is ${again.status}`);
    return again;
  }

  private async ended(begin: () => Promise<string>): Promise<JobBody> {
    const id = await begin();
    await this.service.untilAllEnded();
    const job = await this.service.job(id);
    await this.calm(job);
    return job;
  }

  /** Each strike stands from the beginning of its phase. */
  private arm(strikes: readonly Strike[]): void {
    const placed = new Map<Strike, Promise<void>>();
    this.service.onCall = async (call, perform) => {
      for (const strike of strikes) {
        const { step, begins } = PHASES[strike.phase];
        if (step === this.step && begins.test(call) && !placed.has(strike)) placed.set(strike, this.place(strike));
        await placed.get(strike);
      }
      return perform();
    };
  }

  private async place(strike: Strike): Promise<void> {
    const { phase, fault, where, of, times, probability = 1, isTouchedByTest } = strike;
    const [own, base] = (await this.service.points(this.item)).map(({ snapshot }) => snapshot.ref);
    const snapshot = of === "base" ? base : own;
    const rule = { ...(where ?? PHASES[phase].where), ...(of && snapshot && { url: snapshot.name }) };
    this.standing.push(strike);
    await this.azure.fault(nameOf(strike), fault, { ...rule, times, probability, seed: 3 });
    if (!isTouchedByTest || !snapshot) return;
    const { resourceGroup, name } = snapshot.collection;
    const look = this.azure.compute().restorePoints.get(resourceGroup, name, snapshot.name);
    await look.catch(() => undefined);
  }

  /** The rules that stand have struck this job; it is over, and most of them with it. */
  private async calm(job?: JobBody): Promise<void> {
    if (this.standing.length === 0) return;
    const { value } = (await this.azure.control("GET", "faults")) as { value: Report[] };
    for (const strike of this.standing) {
      const { injected = 0 } = value.find(({ rule }) => rule.name === nameOf(strike)) ?? {};
      // A clock is wrong for everybody.
      const count = strike.kind === "clock-skew" ? 1 : injected;
      if (!this.struck.has(strike)) this.struck.set(strike, { count, job });
      if (!strike.stands) await this.azure.control("DELETE", `faults?name=${encodeURIComponent(nameOf(strike))}`);
    }
    this.standing = this.standing.filter(({ stands }) => stands);
  }

  private async newestPoint(): Promise<PointBody> {
    const [point] = await this.service.points(this.item);
    if (point) return point;
    throw new Error("a backup that completed has a point");
  }

  /** As passes of retention do: what fails is tried again by the next one. */
  private async removeSnapshot(point: PointBody): Promise<void> {
    const { service, item } = this;
    this.lost.add(point.snapshot.ref?.name ?? "");
    for (let pass = 0; pass < 20; pass++) {
      await releaseSnapshot(service.deps, VAULT, item, point).catch((cause: unknown) => {
        if (!(cause instanceof HoldfastFailure)) throw cause;
      });
      const now = (await service.points(item)).find(({ pointId }) => pointId === point.pointId);
      if (now?.snapshot.state === "deleted") return this.calm();
    }
    this.wrong.push(`the snapshot of ${point.pointId} does not go`);
  }

  private async compareDisks({ pointId }: PointBody, { id, restore, status }: JobBody): Promise<void> {
    const made: Buffer[] = [];
    for (const { targetDiskId } of status === "Completed" ? (restore?.disks ?? []) : [])
      made.push(await readDisk(this.azure, targetDiskId));
    if (!areSame(this.held.get(pointId) ?? [], made))
      this.wrong.push(`job ${id} has not made what the snapshot of ${pointId} held`);
  }

  /** Of this service's jobs alone: others live in the same Azure. */
  private async leftInAzure(): Promise<string[]> {
    const { azure, service, item } = this;
    const jobs = await service.jobs();
    const isOurs = (name: string) => jobs.some(({ id }) => name.toLowerCase().includes(id.toLowerCase()));
    const { documents } = (await azure.control("GET", "state")) as { documents: Record<string, GrantDocument> };
    const open = Object.entries(documents).flatMap(([key, { resource = "", expiresAt = 0 }]) =>
      key.startsWith("grant/") && expiresAt > Date.now() && isOurs(resource) ? [`access to ${resource} is open`] : [],
    );
    const known = (await service.points(item)).flatMap(({ snapshot }) => snapshot.ref?.name ?? []);
    const ref = jobs.find(({ backup }) => backup?.snapshot)?.backup?.snapshot;
    const snapshots: string[] = [];
    if (ref)
      for await (const page of service.deps.snapshots.list(ref.collection))
        snapshots.push(...page.map(({ name }) => name));
    const orphans = snapshots.filter((name) => isOurs(name) && !known.includes(name));
    const wanted = jobs
      .filter(({ status }) => status === "Completed")
      .flatMap(({ restore }) => restore?.disks.map(({ targetDiskId }) => targetDiskId.split("/").at(-1)) ?? []);
    const disks: string[] = [];
    for await (const { name = "", tags } of azure.compute().disks.list())
      if (isOurs(tags?.["holdfast-job"] ?? "") && !wanted.includes(name)) disks.push(name);
    return [
      ...open,
      ...orphans.map((name) => `snapshot ${name} belongs to no point`),
      ...disks.map((name) => `disk ${name} is left`),
    ];
  }
}

interface Report {
  readonly rule: { readonly name: string };
  readonly injected: number;
}

interface GrantDocument {
  readonly resource?: string;
  readonly expiresAt?: number;
}

const nameOf = ({ kind, phase }: Strike): string => `${kind} while ${phase}`;

const areSame = (some: readonly Buffer[], others: readonly Buffer[]): boolean =>
  some.length === others.length && some.every((bytes, at) => bytes.equals(others[at] as Buffer));
