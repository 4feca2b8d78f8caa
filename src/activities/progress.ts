// How far a job is, for people: by disk, and only ever forward, so that steps that run twice count once.

import type { JobRef } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob } from "../control/job-changes.ts";

/**
 * What there is to do is known, and nothing moves yet. A job that is taken up again comes here anew: what its earlier life
 * has done counts, the time since then does not.
 */
export async function planProgress(deps: ControlDeps, ref: JobRef, disk: number, totalBytes: number): Promise<void> {
  await changeJob(deps, ref, ({ progress }) => {
    const before = progress[disk];
    if (before && before.totalBytes === totalBytes && before.moving === null) return undefined;
    const { doneBytes = 0 } = before ?? {};
    return { progress: { ...progress, [disk]: { doneBytes, totalBytes, moving: null } } };
  });
}

export interface MovedBytes {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** When the step began that moved them; null for bytes that the platform moved. */
  readonly since: Date | null;
}

export async function changeProgress(
  deps: ControlDeps,
  ref: JobRef,
  disk: number,
  { doneBytes, totalBytes, since }: MovedBytes,
): Promise<void> {
  await changeJob(deps, ref, ({ progress }) => {
    const before = progress[disk];
    const { doneBytes: fromBytes = 0, moving = null } = before ?? {};
    if (before && fromBytes >= doneBytes && before.totalBytes === totalBytes) return undefined;
    const begun = since && doneBytes > fromBytes ? { since: since.toISOString(), fromBytes } : null;
    const news = { doneBytes: Math.max(doneBytes, fromBytes), totalBytes, moving: moving ?? begun };
    return { progress: { ...progress, [disk]: news } };
  });
}
