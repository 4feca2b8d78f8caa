// When recovery points end, for who looks at them: what today's policy says, or what was asked for. The last point of an
// item, and one that is held, stay longer; that is retention's to decide when the time comes (retention.ts).

import { expiryOf, type RetainedPoint } from "../domain/retention.ts";
import type { ControlDeps } from "./control-deps.ts";
import type { ItemBody } from "./rows/item-row.ts";
import type { PointBody } from "./rows/point-row.ts";
import { POLICY_ROWS, policyPlace } from "./rows/policy-row.ts";
import { readRow } from "./rows/row-kind.ts";
import type { VaultKey } from "./rows/vault-row.ts";

/** Undefined for a point whose end nothing tells: that of an item without a policy, which keeps all of its points. */
export async function expiryOfPoints(
  deps: Pick<ControlDeps, "tables">,
  vault: VaultKey,
  item: ItemBody,
): Promise<(point: PointBody) => Date | undefined> {
  if (item.policy === null) return () => undefined;
  const held = await readRow(deps.tables, POLICY_ROWS, policyPlace(vault, item.policy));
  if (held === undefined) return () => undefined;
  const { policy } = held.body;
  const former = item.formerWeeklyRule ?? held.body.formerWeeklyRule;
  return (point) => {
    const end = expiryOf(retainedOf(point), { policy, ...(former !== null && { formerWeeklyRule: former }) });
    const floor = point.keepUntil === null ? undefined : new Date(point.keepUntil);
    return end !== undefined && floor !== undefined && floor > end ? floor : end;
  };
}

/** As far as its end depends on it. */
function retainedOf({ pointId, time, scheduledAt, tags, retainUntil, snapshot, archive }: PointBody): RetainedPoint {
  return {
    id: pointId,
    takenAt: new Date(time),
    scheduledAt: new Date(scheduledAt ?? time),
    origin:
      retainUntil === null ? { kind: "Scheduled", tags } : { kind: "OnDemand", retainUntil: new Date(retainUntil) },
    hasSnapshot: snapshot.state !== "deleted",
    inVault: archive === null ? "Absent" : "Present",
  };
}
