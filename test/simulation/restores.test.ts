// Restores that do not go as they should: what they made is removed, and what they did not make is never touched.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RESTORE } from "../../orchestrations/contracts.ts";
import { HoldfastFailure } from "../../src/base/failure.ts";
import type { PointBody } from "../../src/control/rows/point-row.ts";
import type { JobId } from "../../src/domain/job-id.ts";
import { restoredDiskName } from "../../src/domain/names-of-things.ts";
import { GROUP } from "../localhost/azure/support/azure.ts";
import { VAULT } from "../support/service.ts";
import { beginRestore } from "../support/service-work.ts";
import { beginBackup, faultsOf, leaveToVault, type SmallWorld, startSmallWorld } from "../support/small-world.ts";

let world: SmallWorld;
let point: PointBody;

beforeEach(async () => {
  world = await startSmallWorld();
  await world.service.end(await beginBackup(world));
  [point] = (await world.service.points(world.item)) as [PointBody];
});

afterEach(async () => {
  await world.service.close();
});

async function expectNothingLeft(): Promise<void> {
  const { service, cloud } = world;
  service.onCall = (_call, perform) => perform();
  await service.pass(10_000);
  for (const id of [...cloud.targets.keys()]) cloud.findTarget(id);
  expect(await faultsOf(world)).toEqual([]);
}

const refusal = (call: string): HoldfastFailure =>
  new HoldfastFailure("denied", "AuthorizationFailed", `${call} is denied`);

describe("A restore from the vault", () => {
  it.each([
    "targets.beginUpload",
    "targets.openForWriting",
    "targets.openForWriting.write",
    "targets.finishUpload",
    "staging.write",
  ])("that is refused at %s fails with the reason, and leaves no disk", async (refused) => {
    const { service, item } = world;
    await leaveToVault(world, point);
    let left = 1;
    service.onCall = async (call, perform) => {
      // The first disk succeeds, the second does not.
      if (call === refused && (refused === "staging.write" || left-- <= 0)) throw refusal(call);
      return perform();
    };
    const job = await service.end(await beginRestore(service, item, point));
    expect(job).toMatchObject({ status: "Failed", failure: { code: "AuthorizationFailed" } });
    await expectNothingLeft();
  });

  it("of a snapshot that vanished meanwhile comes from the vault instead", async () => {
    const { service, item, cloud } = world;
    let isLost = false;
    service.onCall = async (call, perform) => {
      if (!isLost && call === "targets.beginFromSnapshot" && point.snapshot.ref) {
        isLost = true;
        cloud.lose(point.snapshot.ref);
        world.lost.add(point.snapshot.ref.name);
      }
      return perform();
    };
    const job = await service.end(await beginRestore(service, item, point));
    expect(job.status).toBe("Completed");
    expect(job.restore?.disks.map(({ snapshotDiskId }) => snapshotDiskId)).toEqual([null, null]);
    await expectNothingLeft();
  });

  it("tells since when its bytes move, but not of those that the platform copies from a snapshot", async () => {
    const { service, item } = world;
    const isMoving = async () => {
      const { progress } = await service.end(await beginRestore(service, item, point));
      return Object.values(progress).map(({ moving }) => moving !== null);
    };
    expect(await isMoving()).toEqual([false, false]);
    await leaveToVault(world, point);
    expect(await isMoving()).toEqual([true, true]);
  });

  it("keeps its disks when the last answer was lost for longer than anybody asks again", async () => {
    const { service, item } = world;
    let isLost = false;
    const lose = async (perform: () => Promise<unknown>): Promise<never> => {
      await perform();
      throw new HoldfastFailure("unavailable", "HoldfastTestUnavailable", "rows are not to be had");
    };
    const id = await beginRestore(service, item, point);
    service.onCall = async (call, perform) => {
      const isEnd = call === "tables.replace" && service.staged.has(`holdfast-restore-${id}`);
      if (isEnd && !isLost) {
        isLost = true;
        return lose(perform);
      }
      // Nothing answers any more, until the step is given up.
      if (isLost && call === "tables.read" && service.now().getTime() < Date.parse("2026-03-01T00:05:00Z"))
        return lose(perform);
      return perform();
    };
    await service.untilAllEnded();
    expect((await service.job(id)).status).toBe("Completed");
    await expectNothingLeft();
  });
});

describe("A disk of the name that a restore wants", () => {
  it("that is somebody else's is never touched, and the restore fails", async () => {
    const { service, item, cloud } = world;
    // The request is written down; the orchestration is started when the name is taken.
    const notYet = { start: async () => {}, stateOf: async () => "absent" as const };
    const id = await beginRestore(service, item, point, undefined, notYet);
    const [, data] = point.snapshot.disks;
    const diskId = `${GROUP}/providers/Microsoft.Compute/disks/${restoredDiskName(data?.name ?? "", id as JobId)}`;
    const theirs = {
      bytes: Buffer.from("theirs"),
      owner: "somebody else",
      readyAtMs: 0,
      state: "waits-for-upload" as const,
    };
    cloud.targets.set(diskId, { ...theirs, goneAtMs: Number.POSITIVE_INFINITY });
    await service.deps.workflow.start(RESTORE.name, id, { vault: VAULT, job: id });
    const job = await service.end(id);
    expect(job).toMatchObject({ status: "Failed", failure: { code: "HoldfastDiskExists" } });
    expect(cloud.targets.get(diskId)).toMatchObject(theirs);
    await expectNothingLeft();
  });
});
