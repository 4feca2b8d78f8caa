// Carrying out promotions (src/domain/promotion.ts): a point takes the tag of a day on which there was no backup. Written to
// the point's row before anything is planned with it, so that every later pass sees the same tags.

import { type PromotionFacts, planPromotions } from "../domain/promotion.ts";
import { latestOccurrence } from "../domain/schedule.ts";
import { requireTimeZone } from "../domain/time-zones.ts";
import { localDayOf } from "../domain/zoned-time.ts";
import type { ControlDeps } from "./control-deps.ts";
import type { ItemBody } from "./rows/item-row.ts";
import { JOB_ROWS, jobPlace } from "./rows/job-row.ts";
import { POINT_ROWS, type PointBody, pointPlace } from "./rows/point-row.ts";
import type { PolicyBody } from "./rows/policy-row.ts";
import { changeRow, readRow } from "./rows/row-kind.ts";
import { PHASE_ROWS, phasePlace } from "./rows/work-rows.ts";

/** The points as they are afterwards, and those that may have to stand in for a missed day yet. */
export async function promote(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  policy: PolicyBody,
  points: readonly PointBody[],
): Promise<{ points: PointBody[]; standIns: ReadonlySet<string> }> {
  const { promotions, standIns } = planPromotions(await factsOf(deps, vault, item, policy, points));
  const promoted: PointBody[] = [];
  for (const point of points) {
    const tags = promotions.flatMap(({ id, tag }) => (id === point.pointId ? [tag] : []));
    promoted.push(tags.length === 0 ? point : await addTags(deps, vault, item, point, tags));
  }
  return { points: promoted, standIns };
}

function addTags(
  { tables }: ControlDeps,
  vault: string,
  item: ItemBody,
  { pointId }: PointBody,
  tags: PointBody["tags"],
): Promise<PointBody> {
  return changeRow(tables, POINT_ROWS, pointPlace(vault, item.name, pointId), (row) => {
    const missing = tags.filter((tag) => !row.tags.includes(tag));
    return missing.length === 0 ? undefined : { ...row, tags: [...row.tags, ...missing], isPromoted: true };
  });
}

async function factsOf(
  deps: ControlDeps,
  vault: string,
  item: ItemBody,
  { policy, changedAt }: PolicyBody,
  points: readonly PointBody[],
): Promise<PromotionFacts> {
  const dayOf = dayUnder(policy);
  const scheduled = points.filter(({ scheduledAt, archive }) => scheduledAt !== null && archive !== null);
  const since = item.protectedAt !== null && item.protectedAt > changedAt ? item.protectedAt : changedAt;
  return {
    now: deps.clock.now(),
    policy,
    since: new Date(since),
    openDays: new Set((await openRuns(deps, vault, item)).map(dayOf)),
    points: scheduled.map((point) => ({
      id: point.pointId,
      day: dayOf(point.scheduledAt as string),
      tags: point.tags,
    })),
  };
}

/** A run after midnight may count for the day before. */
function dayUnder(policy: PolicyBody["policy"]): (scheduledAt: string) => ReturnType<typeof localDayOf> {
  return (scheduledAt) => {
    const at = new Date(scheduledAt);
    const run = latestOccurrence(policy, new Date(at.getTime() - 1), at);
    return run?.day ?? localDayOf(at, requireTimeZone(policy.timeZone));
  };
}

/** Scheduled instants whose backup is under way. */
async function openRuns({ tables }: ControlDeps, vault: string, item: ItemBody): Promise<string[]> {
  const instants: string[] = [];
  for (const phase of ["snapshot", "transfer"] as const) {
    const holder = (await readRow(tables, PHASE_ROWS, phasePlace(vault, item.name, phase)))?.body.holder;
    const job = holder ? await readRow(tables, JOB_ROWS, jobPlace(vault, holder)) : undefined;
    const scheduledAt = job?.body.endedAt === null ? job.body.backup?.scheduledAt : undefined;
    if (scheduledAt) instants.push(scheduledAt);
  }
  return instants;
}
