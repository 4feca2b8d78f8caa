// What every step on one slice of a disk does around its work, whichever way the bytes go: a place, and the job's progress.

import type { SliceAnswer, SliceStep } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { freeSlot, inSlot } from "../control/slots.ts";
import { changeProgress, type MovedBytes } from "./progress.ts";

export async function runSlice(
  deps: ControlDeps,
  { disk, slice, ...ref }: SliceStep,
  isCancelled: boolean,
  work: () => Promise<Pick<MovedBytes, "doneBytes" | "totalBytes">>,
): Promise<SliceAnswer> {
  const holder = { ...ref, part: `${disk}/${slice}` };
  if (isCancelled) {
    // An execution that died in its place has left it taken.
    await freeSlot(deps, "slices", holder);
    return { state: "cancelled" };
  }
  const since = deps.clock.now();
  const moved = await inSlot(deps, "slices", holder, work);
  if (moved === undefined) return { state: "busy" };
  await changeProgress(deps, ref, disk, { ...moved, since });
  return { state: "done" };
}
