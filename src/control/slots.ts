// Places for work that takes memory and time: so many slices at once in the whole hub, and so many transfers that are under
// way, however many machines are due, so that snapshots and control find a worker at once. Who finds no place asks again
// later, with little. A place is free when its holder says so; of jobs that are over, the reconciler frees it.

import { LIMITS } from "../domain/limits.ts";
import { tryEach } from "./all-vaults.ts";
import type { ControlDeps } from "./control-deps.ts";
import { isOver } from "./phases.ts";
import { type Held, insertRow, listRows, replaceRow } from "./rows/row-kind.ts";
import { SLOT_ROWS, type SlotBody, type SlotKind, slotPlace } from "./rows/work-rows.ts";

export interface SlotHolder {
  readonly vault: string;
  readonly job: string;
  /** Of the job: what asks for places of its own. */
  readonly part: string;
}

type SlotDeps = Pick<ControlDeps, "tables" | "clock" | "settings">;

/** Runs `work` in a free place, or answers undefined when there is none. */
export async function inSlot<Answer>(
  deps: SlotDeps,
  kind: SlotKind,
  holder: SlotHolder,
  work: () => Promise<Answer>,
): Promise<Answer | undefined> {
  if (!(await takeSlot(deps, kind, holder))) return undefined;
  try {
    return await work();
  } finally {
    await freeSlot(deps, kind, holder);
  }
}

/** Whether there was one. Asked again by the same holder: the same place, so that one that died finds its own again. */
export async function takeSlot(deps: SlotDeps, kind: SlotKind, holder: SlotHolder): Promise<boolean> {
  const slots = await readSlots(deps, kind);
  const name = nameOf(holder);
  if (slots.some((held) => held?.body.holder === name)) return true;
  const { vault, job } = holder;
  const body = { holder: name, vault, job, since: deps.clock.now().toISOString() };
  for (const [slot, held] of slots.entries()) {
    if (held && held.body.holder !== null) continue;
    const isMine = held
      ? await replaceRow(deps.tables, SLOT_ROWS, held, body)
      : await insertRow(deps.tables, SLOT_ROWS, slotPlace(kind, slot), body);
    if (isMine) return true;
  }
  return false;
}

/** All that it holds: two executions of one step, at the same time, may have taken two. */
export async function freeSlot(deps: SlotDeps, kind: SlotKind, holder: SlotHolder): Promise<void> {
  for (const held of await readSlots(deps, kind)) {
    if (held?.body.holder === nameOf(holder)) await release(deps, held);
  }
}

/** Never because of its age alone; but while a slice may still be at work, there is no need to ask. */
export async function freeAbandonedSlots(deps: SlotDeps & Pick<ControlDeps, "workflow">): Promise<void> {
  const nowMs = deps.clock.now().getTime();
  const freeIfOver = async (held: Held<SlotBody> | undefined): Promise<void> => {
    if (!held || held.body.holder === null || nowMs - Date.parse(held.body.since) <= LIMITS.sliceRunMs) return;
    if (await isOver(deps, held.body.vault, held.body.job)) await release(deps, held);
  };
  await tryEach(["slices", "transfers"] as const, async (kind) => tryEach(await readSlots(deps, kind), freeIfOver));
}

/** Not when it has gone over to somebody else since it was read. */
async function release(deps: SlotDeps, held: Held<SlotBody>): Promise<void> {
  await replaceRow(deps.tables, SLOT_ROWS, held, { ...held.body, holder: null });
}

/** By number; undefined where there never was a row. */
async function readSlots({ tables, settings }: SlotDeps, kind: SlotKind): Promise<(Held<SlotBody> | undefined)[]> {
  const count = kind === "slices" ? settings.sliceSlots : settings.sliceSlots * LIMITS.transfersPerSliceSlot;
  const slots = new Map<string, Held<SlotBody>>();
  for await (const held of listRows(tables, SLOT_ROWS, kind)) slots.set(held.key, held);
  return Array.from({ length: count }, (_, slot) => slots.get(slotPlace(kind, slot).key));
}

function nameOf({ vault, job, part }: SlotHolder): string {
  return `${vault}/${job}/${part}`;
}
