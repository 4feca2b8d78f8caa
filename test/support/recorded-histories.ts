// What orchestrations did, turn by turn, over activities that answer from a script: the histories that are kept in
// test/histories, and those that bounds are measured on.

import { ORCHESTRATIONS } from "../../orchestrations/catalog.ts";
import * as contracts from "../../orchestrations/contracts.ts";
import { type Episode, libraryFunctions } from "./library-functions.ts";
import { openVirtualHub } from "./virtual-hub.ts";

/** The last turn of an execution: its whole history, and all that the orchestrator had asked for by then. */
export interface Recording {
  readonly orchestrator: string;
  readonly payload: { readonly history: readonly object[]; readonly [field: string]: unknown };
  readonly outcome: Pick<Episode["outcome"], "actions"> & { readonly isDone?: boolean; readonly output?: unknown };
}

/** What an activity answers, called for the so-and-so-many-th time. */
type Answer = (
  input: { readonly slice?: number; readonly disk?: number; readonly after?: string },
  call: number,
) => unknown;
type Script = Readonly<Record<string, Answer>>;

const JOB = { vault: "sub/vault1", job: "fe63594e-23ff-8f2a-a078-cb83f2b0ca2b" };
const REFUSAL = { code: "UserErrorVmNotInDesirableState", message: "The machine is being updated" };

const GOOD: Script = {
  [contracts.OPEN_JOB.name]: () => ({ isOver: false }),
  [contracts.CLOSE_JOB.name]: () => ({ status: "Completed" }),
  // The second execution finds the snapshot taken.
  [contracts.CLAIM_PHASE.name]: (_input, call) => ({ state: call === 2 ? "done" : "granted" }),
  [contracts.BEGIN_SNAPSHOT.name]: (_input, call) => (call === 0 ? { retryAfterMs: 30_000 } : {}),
  [contracts.CHECK_SNAPSHOT.name]: (_input, call) => ({ state: call < 4 ? "pending" : "done" }),
  [contracts.ADD_POINT.name]: () => ({}),
  [contracts.BEGIN_TRANSFER.name]: (_input, call) =>
    call === 0 ? { state: "busy" } : { state: "begun", diskCount: 3 },
  [contracts.PLAN_DISK.name]: ({ disk }) => ({ sliceCount: disk === 0 ? 5 : 1 }),
  [contracts.WRITE_SLICE.name]: ({ slice }, call) => ({ state: slice === 1 && call < 3 ? "busy" : "done" }),
  [contracts.SEAL_DISK.name]: () => ({}),
  [contracts.COMMIT_TRANSFER.name]: (_input, call) => {
    if (call === 0) throw new Error("The archive is not to be had");
    return {};
  },
  [contracts.GIVE_UP_PHASE.name]: (_input, call) => ({ state: call === 0 ? "pending" : "done" }),
  [contracts.END_TRANSFER.name]: () => ({ state: "done" }),
  [contracts.BEGIN_RESTORE.name]: () => ({ diskCount: 2 }),
  [contracts.BEGIN_TARGET_DISK.name]: () => ({}),
  [contracts.CHECK_TARGET_DISK.name]: ({ disk }, call) => ({
    state: call < 2 ? "pending" : disk === 0 || call > 4 ? "ready" : "waits",
  }),
  [contracts.PLAN_RESTORE.name]: () => ({ sliceCount: 3 }),
  [contracts.RESTORE_SLICE.name]: () => ({ state: "done" }),
  [contracts.FINISH_TARGET_DISK.name]: () => ({}),
  [contracts.WRITE_RESTORE_FILES.name]: () => ({}),
  [contracts.CLEAN_RESTORE.name]: (_input, call) => ({ state: call === 0 ? "pending" : "done" }),
  [contracts.RUN_ITEM_JOB.name]: (_input, call) => ({ state: call < 2 ? "pending" : "done" }),
  [contracts.START_BACKUPS.name]: (_input, call) => ({ next: call < 2 ? `item ${call}` : null, startedCount: 100 }),
};

const RUN: contracts.PolicyRun = {
  vault: JOB.vault,
  policy: "Daily",
  scheduledAt: "2026-03-01T00:01:00.000Z",
  isCatchUp: false,
};
const DISK: contracts.DiskRun = { ...JOB, disk: 0, progress: null };

const SCENARIOS: Readonly<
  Record<string, { readonly start: string; readonly input: unknown; readonly script?: Script }>
> = {
  backup: { start: contracts.BACKUP.name, input: JOB },
  "backup-refused": {
    start: contracts.BACKUP.name,
    input: JOB,
    script: { [contracts.CHECK_SNAPSHOT.name]: () => ({ failure: REFUSAL }) },
  },
  "backup-cancelled": {
    start: contracts.BACKUP.name,
    input: JOB,
    script: { [contracts.WRITE_SLICE.name]: ({ slice }) => ({ state: slice === 2 ? "cancelled" : "done" }) },
  },
  "backup-skipped": {
    start: contracts.BACKUP.name,
    input: JOB,
    script: { [contracts.CLAIM_PHASE.name]: (_input, call) => ({ state: call === 0 ? "granted" : "refused" }) },
  },
  "long-transfer": {
    start: contracts.TRANSFER_DISK.name,
    input: DISK,
    script: {
      [contracts.PLAN_DISK.name]: () => ({ sliceCount: 120 }),
      [contracts.WRITE_SLICE.name]: () => ({ state: "done" }),
    },
  },
  restore: { start: contracts.RESTORE.name, input: JOB },
  "restore-failed": {
    start: contracts.RESTORE.name,
    input: JOB,
    script: { [contracts.RESTORE_SLICE.name]: () => ({ failure: REFUSAL }) },
  },
  "item-job": { start: contracts.ITEM_JOB.name, input: JOB },
  "policy-run": { start: contracts.POLICY_RUN.name, input: RUN },
};

/** By the name of the scenario, the orchestrator, and which of its executions it was. */
export async function recordHistories(): Promise<Map<string, Recording>> {
  const recordings = new Map<string, Recording>();
  for (const [name, { start, input, script }] of Object.entries(SCENARIOS)) {
    const last = new Map<string, Episode>();
    await play(start, input, { ...GOOD, ...script }, (episode) => last.set(executionOf(episode), episode));
    const counts = new Map<string, number>();
    for (const episode of last.values()) {
      const count = (counts.get(episode.orchestrator) ?? 0) + 1;
      counts.set(episode.orchestrator, count);
      recordings.set(`${name}.${episode.orchestrator}.${count}`, asRecording(episode));
    }
  }
  return recordings;
}

/** Runs an orchestration to its end over a script of answers. */
export async function play(
  start: string,
  input: unknown,
  script: Script,
  onEpisode: (episode: Episode) => void,
): Promise<void> {
  const calls = new Map<string, number>();
  const activities = Object.fromEntries(
    Object.entries(script).map(([name, answer]) => [
      name,
      (given: never) => {
        const call = calls.get(name) ?? 0;
        calls.set(name, call + 1);
        return answer(given, call);
      },
    ]),
  );
  const hub = await openVirtualHub({ orchestrations: ORCHESTRATIONS, activities, onEpisode });
  try {
    await hub.end(await hub.start(start, input));
  } finally {
    await hub.close();
  }
}

/** Each execution of an instance begins with its own input. */
function executionOf({ instanceId, payload }: Episode): string {
  return `${instanceId} ${JSON.stringify((JSON.parse(payload) as { input: unknown }).input)}`;
}

function asRecording({ orchestrator, payload, outcome }: Episode): Recording {
  return { orchestrator, payload: JSON.parse(payload), outcome: asKept(outcome) };
}

function asKept(outcome: Episode["outcome"]): Recording["outcome"] {
  const { actions } = outcome;
  const kept = outcome.ok ? { isDone: outcome.isDone, output: outcome.output, actions } : { actions };
  return JSON.parse(JSON.stringify(kept)) as Recording["outcome"];
}

/** What today's orchestrator does with the history. */
export async function replay({ orchestrator, payload }: Recording): Promise<Recording["outcome"]> {
  const functions = libraryFunctions({ orchestrations: ORCHESTRATIONS });
  return asKept(await functions.runOrchestrator(orchestrator, JSON.stringify(payload), "replayed"));
}
