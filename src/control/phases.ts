// Claiming, checking and freeing a machine's two phases, by compare-and-swap on their rows. A phase goes over to another
// job only when its holder is over: its job has ended, or its orchestration has. Never because of its age.
//
// A holder that was replaced may still be running somewhere: its orchestration was terminated while an activity worked. Its
// job may be taken up again, and hold the phase a second time when the other one has let go of it. So the owner does not tell
// who is late; the fence does, which grows with each holder, and which the job's row keeps as it was granted. A point's row
// and a manifest are written after `requirePhase` has compared it. Check and write are two steps: what comes between them
// harms no other job, for each writes a point, a snapshot and a transfer of its own, and in the archive a transfer that was
// given up never becomes a point (src/vault/points.ts).

import { HoldfastFailure } from "../base/failure.ts";
import type { JobId } from "../domain/job-id.ts";
import { claimPhase as decideClaim, holds, type Phase, releasePhase, UNTOUCHED_PHASE } from "../domain/phases.ts";
import type { ControlDeps } from "./control-deps.ts";
import { JOB_ROWS, jobPlace } from "./rows/job-row.ts";
import { type Held, insertRow, readRow, replaceRow } from "./rows/row-kind.ts";
import { PHASE_ROWS, type PhaseBody, phasePlace } from "./rows/work-rows.ts";

export type PhaseKey = "snapshot" | "transfer";

export interface PhaseOf {
  readonly vault: string;
  readonly item: string;
  readonly phase: PhaseKey;
}

const MAX_RACES = 16;

/** The fence, or who holds the phase. Asked again by the same job: the same fence. */
export async function claimPhase(
  deps: Pick<ControlDeps, "tables" | "workflow" | "clock">,
  of: PhaseOf,
  job: string,
): Promise<{ readonly fence: number } | { readonly holder: string }> {
  const place = phasePlace(of.vault, of.item, of.phase);
  for (let race = 0; race < MAX_RACES; race++) {
    const held = await readRow(deps.tables, PHASE_ROWS, place);
    const phase = phaseOf(held);
    const hasOwnerEnded = phase.state === "Held" && phase.owner !== job && (await isOver(deps, of.vault, phase.owner));
    const claim = decideClaim(phase, job as JobId, hasOwnerEnded);
    if (claim.verdict === "busy") return { holder: claim.owner };
    if (claim.phase === phase) return { fence: claim.fence };
    const body = { holder: job, fence: claim.fence, since: deps.clock.now().toISOString() };
    const isMine = held
      ? await replaceRow(deps.tables, PHASE_ROWS, held, body)
      : await insertRow(deps.tables, PHASE_ROWS, place, body);
    if (isMine) return { fence: claim.fence };
  }
  throw new HoldfastFailure(
    "unavailable",
    "HoldfastPhaseContended",
    `The ${of.phase} phase of ${of.item} is contended`,
  );
}

/** `fence`: what the job was granted, as its row said when the step began. Fails with "conflict" when that is over. */
export async function requirePhase(
  deps: Pick<ControlDeps, "tables">,
  of: PhaseOf,
  { job, fence }: { readonly job: string; readonly fence: number | null },
): Promise<void> {
  const phase = phaseOf(await readRow(deps.tables, PHASE_ROWS, phasePlace(of.vault, of.item, of.phase)));
  if (fence !== null && holds(phase, job as JobId, fence)) return;
  throw new HoldfastFailure("conflict", "HoldfastPhaseLost", `Job ${job} does not hold the ${of.phase} phase any more`);
}

/** Who holds the phase and is not over. */
export async function liveHolder(
  deps: Pick<ControlDeps, "tables" | "workflow">,
  of: PhaseOf,
): Promise<string | undefined> {
  const phase = phaseOf(await readRow(deps.tables, PHASE_ROWS, phasePlace(of.vault, of.item, of.phase)));
  if (phase.state === "Free" || (await isOver(deps, of.vault, phase.owner))) return undefined;
  return phase.owner;
}

/**
 * Frees the phase if the job still holds it, under whatever fence: its row may not know of a claim whose answer was lost. A
 * late step that frees what the job holds once more costs it the phase, and `requirePhase` says so.
 */
export async function freePhase(deps: Pick<ControlDeps, "tables" | "clock">, of: PhaseOf, job: string): Promise<void> {
  for (let race = 0; race < MAX_RACES; race++) {
    const held = await readRow(deps.tables, PHASE_ROWS, phasePlace(of.vault, of.item, of.phase));
    const phase = phaseOf(held);
    if (!held || releasePhase(phase, job as JobId, phase.fence) === phase) return;
    const body = { holder: null, fence: phase.fence, since: deps.clock.now().toISOString() };
    if (await replaceRow(deps.tables, PHASE_ROWS, held, body)) return;
  }
}

/** A job whose orchestration never started is not over: the reconciler starts it. */
export async function isOver(
  deps: Pick<ControlDeps, "tables" | "workflow">,
  vault: string,
  job: string,
): Promise<boolean> {
  const held = await readRow(deps.tables, JOB_ROWS, jobPlace(vault, job));
  if (held?.body.endedAt) return true;
  const state = await deps.workflow.stateOf(job);
  return state === "over" || (held === undefined && state === "absent");
}

function phaseOf(held: Held<PhaseBody> | undefined): Phase {
  if (!held) return UNTOUCHED_PHASE;
  const { holder, fence } = held.body;
  return holder === null ? { state: "Free", fence } : { state: "Held", fence, owner: holder as JobId };
}
