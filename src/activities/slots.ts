// Places for slices: so many in the whole hub, however many disks are being transferred, so that snapshots and control find
// a worker at once. A place belongs to one slice of one job; it is free when that says so, or when the job is over.

import type { SliceStep } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { isOver } from "../control/phases.ts";
import { insertRow, readRow, replaceRow } from "../control/rows/row-kind.ts";
import { SLOT_ROWS, slotPlace } from "../control/rows/work-rows.ts";

/** Runs `work` in a free place, or answers undefined when there is none. */
export async function inSlot<Answer>(
  deps: ControlDeps,
  step: SliceStep,
  work: () => Promise<Answer>,
): Promise<Answer | undefined> {
  const holder = `${step.vault}/${step.job}/${step.disk}/${step.slice}`;
  const slot = await takeSlot(deps, step, holder);
  if (slot === undefined) return undefined;
  try {
    return await work();
  } finally {
    await freeSlot(deps, slot, holder);
  }
}

async function takeSlot(deps: ControlDeps, step: SliceStep, holder: string): Promise<number | undefined> {
  for (let slot = 0; slot < deps.settings.sliceSlots; slot++) {
    const held = await readRow(deps.tables, SLOT_ROWS, slotPlace(slot));
    const body = { holder, vault: step.vault, job: step.job, since: deps.clock.now().toISOString() };
    // An execution that died in its place finds it again.
    if (held?.body.holder === holder) return slot;
    if (!held) {
      if (await insertRow(deps.tables, SLOT_ROWS, slotPlace(slot), body)) return slot;
      continue;
    }
    const isFree = held.body.holder === null || (await isOver(deps, held.body.vault, held.body.job));
    if (isFree && (await replaceRow(deps.tables, SLOT_ROWS, held, body))) return slot;
  }
  return undefined;
}

async function freeSlot(deps: ControlDeps, slot: number, holder: string): Promise<void> {
  const held = await readRow(deps.tables, SLOT_ROWS, slotPlace(slot));
  if (held?.body.holder !== holder) return;
  await replaceRow(deps.tables, SLOT_ROWS, held, { ...held.body, holder: null });
}
