// How far a job is, for people: by disk, and only ever forward, so that steps that run twice count once.

import type { JobRef } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { changeJob } from "../control/job-changes.ts";

export async function changeProgress(
  deps: ControlDeps,
  ref: JobRef,
  disk: number,
  { doneBytes, totalBytes }: { readonly doneBytes: number; readonly totalBytes: number },
): Promise<void> {
  await changeJob(deps, ref, ({ progress }) => {
    const before = progress[disk];
    if (before && before.doneBytes >= doneBytes && before.totalBytes === totalBytes) return undefined;
    return {
      progress: { ...progress, [disk]: { doneBytes: Math.max(doneBytes, before?.doneBytes ?? 0), totalBytes } },
    };
  });
}
