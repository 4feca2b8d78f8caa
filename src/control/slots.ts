// Places for slices: so many in the whole hub, however many disks are being transferred, so that snapshots and control find
// a worker at once. A place belongs to one slice of one job; it is free when that says so, or when the job is over.

import type { SliceStep } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import { isOver } from "../control/phases.ts";
import { type Held, insertRow, listRows, readRow, replaceRow } from "../control/rows/row-kind.ts";
import { SLOT_ROWS, SLOTS, type SlotBody, slotPlace } from "../control/rows/work-rows.ts";
import { LIMITS } from "../domain/limits.ts";

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
  const slots = await readSlots(deps);
  // An execution that died in its place finds it again; taking a second one would keep the first until its job ends.
  const own = slots.findIndex((held) => held?.body.holder === holder);
  if (own >= 0) return own;
  const now = deps.clock.now();
  const body = { holder, vault: step.vault, job: step.job, since: now.toISOString() };
  for (const [slot, held] of slots.entries()) {
    if (!held) {
      if (await insertRow(deps.tables, SLOT_ROWS, slotPlace(slot), body)) return slot;
      continue;
    }
    const isFree = held.body.holder === null || (await isAbandoned(deps, held.body, now));
    if (isFree && (await replaceRow(deps.tables, SLOT_ROWS, held, body))) return slot;
  }
  return undefined;
}

/** By number; undefined where there never was a row. */
async function readSlots({ tables, settings }: ControlDeps): Promise<(Held<SlotBody> | undefined)[]> {
  const slots = new Map<string, Held<SlotBody>>();
  for await (const held of listRows(tables, SLOT_ROWS, SLOTS)) slots.set(held.key, held);
  return Array.from({ length: settings.sliceSlots }, (_, slot) => slots.get(slotPlace(slot).key));
}

/** Never because of its age alone; but while a slice may still be at work, there is no need to ask. */
async function isAbandoned(deps: ControlDeps, { vault, job, since }: SlotBody, now: Date): Promise<boolean> {
  return now.getTime() - Date.parse(since) > LIMITS.sliceRunMs && (await isOver(deps, vault, job));
}

async function freeSlot(deps: ControlDeps, slot: number, holder: string): Promise<void> {
  const held = await readRow(deps.tables, SLOT_ROWS, slotPlace(slot));
  if (held?.body.holder !== holder) return;
  await replaceRow(deps.tables, SLOT_ROWS, held, { ...held.body, holder: null });
}
