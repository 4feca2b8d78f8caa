// An instance as JSON: what a checkpoint restates and what the archive keeps. `replay` is left out, because it is
// derived from the history.

import type { HistoryEvent } from "./history.ts";
import { replayText } from "./history.ts";
import type { Instance, OpenTask } from "./instance.ts";
import { isTerminal } from "./instance.ts";
import type { InstanceSnapshot } from "./records.ts";

export function snapshotOf(instance: Instance): InstanceSnapshot {
  const { replay: _, open, ...rest } = instance;
  return { ...rest, open: [...open] };
}

export function restoreInstance(snapshot: InstanceSnapshot): Instance {
  const { open, ...rest } = snapshot as unknown as Omit<Instance, "open" | "replay"> & {
    readonly open: readonly (readonly [number, OpenTask])[];
  };
  const replay = isTerminal(rest.status) ? [] : replayTexts(rest.history);
  // JSON drops fields that are undefined; the type says they are there, so they are put back.
  return {
    ...rest,
    version: rest.version,
    parent: rest.parent,
    ending: rest.ending,
    lock: rest.lock,
    entity: rest.entity === undefined ? undefined : { ...rest.entity, lockedBy: rest.entity.lockedBy },
    replay,
    open: new Map(open),
  };
}

export function replayTexts(history: readonly HistoryEvent[]): string[] {
  return history.flatMap((event) => replayText(event) ?? []);
}
