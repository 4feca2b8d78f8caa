// The state of a whole hub and the only function that changes it: `apply`. Live traffic and recovery run the same code
// over the same records, so what a crash leaves in the journal is exactly what was there. Applying returns the effects
// that the record calls for; recovery ignores them and asks `pendingEffects` at the end instead.

import { assert } from "../../../src/base/assert.ts";
import { acceptedArrivals } from "./batch.ts";
import { CheckpointCut } from "./checkpoint-cut.ts";
import { startedEvent } from "./episode.ts";
import { EventType, type HistoryEvent, isoTime } from "./history.ts";
import { nextExecution } from "./ids.ts";
import { type Birth, type Call, type Ending, type Instance, isTerminal, newInstance, remember } from "./instance.ts";
import { type Arrival, type Delivery, eventOf, executionOf, type Message, type TaskAnswer } from "./messages.ts";
import type {
  ArchivePointer,
  EntityRecord,
  EpisodeRecord,
  FinishedEntry,
  HubRecord,
  Move,
  Op,
  SeqRange,
} from "./records.ts";
import { rewindInstance } from "./rewind.ts";
import { restoreInstance } from "./snapshot.ts";

export type Effect =
  | { readonly effect: "ready"; readonly id: string }
  | { readonly effect: "created"; readonly id: string }
  | {
      readonly effect: "call";
      readonly id: string;
      readonly execution: string;
      readonly task: number;
      readonly call: Call;
    }
  | {
      readonly effect: "timer";
      readonly id: string;
      readonly execution: string;
      readonly task: number;
      readonly fireAtMs: number;
    }
  | { readonly effect: "finished"; readonly id: string }
  | { readonly effect: "released"; readonly pointer: ArchivePointer }
  | { readonly effect: "warning"; readonly text: string };

export class HubState {
  /** Running orchestrations, entities, and finished orchestrations that are not in the archive yet. */
  readonly live = new Map<string, Instance>();
  readonly finished = new Map<string, FinishedEntry>();
  #effects: Effect[] = [];
  #cut: CheckpointCut | undefined;

  apply(record: HubRecord): Effect[] {
    this.#effects = [];
    switch (record.r) {
      case "created":
        this.#create(record.birth, record.atMs);
        break;
      case "arrived":
        for (const delivery of record.deliveries) this.#deliver(delivery, record.atMs);
        break;
      case "episode":
        this.#applyEpisode(record);
        break;
      case "entity":
        this.#applyEntity(record);
        break;
      case "rewound":
        this.#rewind(record.id, record.atMs, record.reason);
        break;
      case "revived":
      case "snapshot":
        this.#restate(record.r === "revived" ? record.snapshot : record.instance);
        break;
      case "purged":
        for (const id of record.ids) this.#forget(id);
        break;
      case "archived":
        for (const { execution, ...entry } of record.entries) this.#archive(entry, execution);
        break;
      case "index":
        for (const entry of record.entries) this.finished.set(entry.id, entry);
        break;
      case "moved":
        for (const move of record.moves) this.#move(move);
        break;
    }
    return this.#effects;
  }

  /** Everything that must be set going again after the journal was read. */
  pendingEffects(): Effect[] {
    this.#effects = [];
    for (const instance of this.live.values()) {
      if (isTerminal(instance.status)) {
        this.#emit({ effect: "finished", id: instance.id });
        continue;
      }
      const answered = new Set(instance.inbox.flatMap(({ message }) => ("task" in message ? [message.task] : [])));
      for (const [task, open] of instance.open) {
        if (answered.has(task)) continue;
        if (open.kind === "timer") this.#emitTimer(instance, task, open.fireAtMs);
        else if (open.call.kind !== "child") this.#emitCall(instance, task, open.call);
      }
      this.#emit({ effect: "ready", id: instance.id });
    }
    return this.#effects;
  }

  /**
   * A checkpoint restates the state as it is at this moment, while traffic goes on: whatever a later record touches is
   * restated before it changes, so that a replay from here meets every instance before the first record about it.
   */
  beginCheckpoint(restate: (record: HubRecord) => void): CheckpointCut {
    assert(this.#cut === undefined, "one checkpoint at a time");
    this.#cut = new CheckpointCut(this, restate);
    return this.#cut;
  }

  endCheckpoint(): void {
    this.#cut = undefined;
  }

  #find(id: string): Instance | undefined {
    this.#cut?.restateInstance(id);
    return this.live.get(id);
  }

  #findFinished(id: string): FinishedEntry | undefined {
    this.#cut?.restateFinished(id);
    return this.finished.get(id);
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  #emitCall(instance: Instance, task: number, call: Call): void {
    this.#emit({ effect: "call", id: instance.id, execution: instance.execution, task, call });
  }

  #emitTimer(instance: Instance, task: number, fireAtMs: number): void {
    this.#emit({ effect: "timer", id: instance.id, execution: instance.execution, task, fireAtMs });
  }

  #create(birth: Birth, atMs: number): void {
    const replaced = this.#find(birth.id);
    if (replaced !== undefined && !isTerminal(replaced.status)) this.#abandon(replaced, atMs);
    this.#forget(birth.id);
    this.live.set(birth.id, newInstance(birth, atMs));
    this.#emit({ effect: "created", id: birth.id });
    this.#emit({ effect: "ready", id: birth.id });
  }

  // A client may start an id anew that is running (overridableExistingInstanceStates): nobody must wait for it.
  #abandon(instance: Instance, atMs: number): void {
    this.#leaveCriticalSection(instance, atMs);
    this.#tellParent(instance, { kind: "terminated", reason: `Instance '${instance.id}' was started anew.` }, atMs);
  }

  #forget(id: string): void {
    if (this.#find(id) !== undefined) this.live.delete(id);
    const entry = this.#findFinished(id);
    if (entry === undefined) return;
    this.finished.delete(id);
    this.#emit({ effect: "released", pointer: entry.pointer });
  }

  // Also used to revive an archived instance: its archive copy is dead from then on.
  #restate(snapshot: Readonly<Record<string, unknown>>): void {
    const instance = restoreInstance(snapshot);
    this.#forget(instance.id);
    this.live.set(instance.id, instance);
  }

  // The instance may have been replaced, purged or rewound while its document was written.
  #archive(entry: FinishedEntry, execution: string): void {
    const instance = this.#find(entry.id);
    const isThisOne =
      instance !== undefined &&
      isTerminal(instance.status) &&
      instance.execution === execution &&
      instance.updatedAtMs === entry.updatedAtMs;
    if (!isThisOne) {
      this.#emit({ effect: "released", pointer: entry.pointer });
      return;
    }
    this.live.delete(entry.id);
    this.finished.set(entry.id, entry);
  }

  // Purged, replaced or revived while its document was being moved: the new copy is dead at birth.
  #move({ id, updatedAtMs, pointer }: Move): void {
    const entry = this.#findFinished(id);
    if (entry === undefined || entry.updatedAtMs !== updatedAtMs) {
      this.#emit({ effect: "released", pointer });
      return;
    }
    this.finished.set(id, { ...entry, pointer });
    this.#emit({ effect: "released", pointer: entry.pointer });
  }

  #deliver({ to, message }: Delivery, atMs: number): void {
    let instance = this.#find(to);
    if (instance === undefined && to.startsWith("@")) instance = this.#createEntity(to, atMs);
    // Nobody is there to hear: the caller was told so (clients), or the answer came too late (tasks).
    if (instance === undefined || isTerminal(instance.status)) return;
    const execution = executionOf(message);
    if (execution !== undefined && execution !== instance.execution) return;
    instance.inbox.push({ seq: instance.nextSeq++, atMs, message });
    this.#emit({ effect: "ready", id: to });
  }

  #createEntity(id: string, atMs: number): Instance {
    const name = id.slice(1, id.indexOf("@", 1));
    const entity = { exists: false, state: null, lockedBy: undefined };
    const instance = newInstance({ id, name, input: null, execution: "" }, atMs, entity);
    this.live.set(id, instance);
    return instance;
  }

  #applyEpisode(record: EpisodeRecord): void {
    const instance = this.#find(record.id);
    assert(
      instance !== undefined && !isTerminal(instance.status),
      `an episode of '${record.id}', which is not running`,
    );
    const taken = take(instance, record.took);
    instance.updatedAtMs = record.atMs;
    if (record.ran) this.#rememberRun(instance, record.atMs);
    this.#hear(instance, taken);
    if (instance.ending?.kind !== "terminated") this.#act(instance, record);
    if (record.ending !== undefined && record.abandons !== true) this.#warnOfOpenTimers(instance);
    if (record.ran) remember(instance, { type: EventType.OrchestratorCompleted, atMs: record.atMs });
    if (record.abandons === true) instance.open.clear();
    if (instance.ending !== undefined && instance.open.size === 0) this.#end(instance, instance.ending, record.atMs);
    else if (instance.inbox.length > 0) this.#emit({ effect: "ready", id: instance.id });
  }

  #rememberRun(instance: Instance, atMs: number): void {
    remember(instance, { type: EventType.OrchestratorStarted, atMs });
    if (!instance.started) {
      remember(instance, startedEvent(instance, atMs));
      instance.started = true;
      instance.status = "Running";
    }
    if (instance.rewound) {
      instance.rewound = false;
      instance.shape = [];
    }
  }

  /** Turns what was taken from the inbox into history, and closes the tasks it answers. */
  #hear(instance: Instance, taken: readonly Arrival[]): void {
    for (const arrival of acceptedArrivals(instance, taken)) {
      const { message } = arrival;
      const event = eventOf(arrival);
      if (event !== undefined) remember(instance, event);
      if (message.kind === "task" || message.kind === "child") instance.open.delete(message.task);
      else if (message.kind === "timer") this.#hearTimer(instance, message.task);
      else if (message.kind === "suspend") instance.status = "Suspended";
      else if (message.kind === "resume" && instance.status === "Suspended") instance.status = "Running";
      else if (message.kind === "terminate") {
        instance.ending = { kind: "terminated", reason: message.reason };
        instance.open.clear();
      }
    }
  }

  #hearTimer(instance: Instance, task: number): void {
    const open = instance.open.get(task);
    instance.open.delete(task);
    if (open?.kind !== "timer" || open.next?.kind !== "poll") return;
    const call: Call = { kind: "http", request: open.next.request };
    instance.open.set(open.next.task, { kind: "call", call });
    this.#emitCall(instance, open.next.task, call);
  }

  // As on Azure they hold the end up, which looks like a hang to whoever forgot to cancel one.
  #warnOfOpenTimers({ id, open }: Instance): void {
    const fireTimes = [...open.values()].flatMap((task) => (task.kind === "timer" && task.leaf ? [task.fireAtMs] : []));
    if (fireTimes.length === 0) return;
    this.#emit({
      effect: "warning",
      text:
        `Orchestration '${id}' has returned, but stays Running until its timer of ${isoTime(Math.max(...fireTimes))} ` +
        "fires, as on Azure. Call cancel() on timers that are no longer needed.",
    });
  }

  #act(instance: Instance, record: EpisodeRecord): void {
    for (const op of record.ops ?? []) this.#applyOp(instance, op, record.atMs);
    for (const id of record.cancelled ?? []) instance.open.delete(id);
    instance.nextId = record.nextId ?? instance.nextId;
    instance.processedActions = record.processedActions ?? instance.processedActions;
    for (const [text, count] of record.shape ?? []) for (let n = 0; n < count; n++) instance.shape.push(text);
    if (record.customStatus !== undefined) instance.customStatus = record.customStatus;
    if (record.lock !== undefined) instance.lock = record.lock ?? undefined;
    if (record.ending !== undefined) instance.ending = record.ending;
  }

  #applyOp(instance: Instance, op: Op, atMs: number): void {
    if (op.op === "timer") {
      const { id, fireAtMs, leaf, next } = op;
      // Timers of the engine are named after what follows; those of user code have no name.
      remember(instance, { type: EventType.TimerCreated, atMs, id, fireAtMs, ...(next && { name: next.kind }) });
      instance.open.set(id, { kind: "timer", fireAtMs, ...(leaf && { leaf }), ...(next && { next }) });
      this.#emitTimer(instance, id, fireAtMs);
    } else if (op.op === "send") {
      remember(instance, sentEvent(op, atMs));
      this.#deliver({ to: op.to, message: op.message }, atMs);
    } else {
      this.#applyCall(instance, op, atMs);
    }
  }

  #applyCall(instance: Instance, op: Extract<Op, { op: "call" }>, atMs: number): void {
    const { id, call, retry, settled, child } = op;
    remember(instance, scheduledEvent(op, atMs));
    instance.open.set(id, {
      kind: "call",
      call,
      ...(retry !== undefined && { retry }),
      ...(child !== undefined && { child: child.id }),
    });
    if (settled !== undefined) this.#answer(instance, id, { ok: false, ...settled }, call, atMs);
    else if (call.kind !== "child") this.#emitCall(instance, id, call);
    else if (child !== undefined) this.#startChild(instance, id, call, child, atMs);
  }

  #answer(instance: Instance, task: number, answer: TaskAnswer, call: Call, atMs: number): void {
    const kind = call.kind === "child" ? "child" : "task";
    this.#deliver({ to: instance.id, message: { kind, execution: instance.execution, task, answer } }, atMs);
  }

  #startChild(
    parent: Instance,
    task: number,
    call: Extract<Call, { kind: "child" }>,
    child: { readonly id: string; readonly execution: string },
    atMs: number,
  ): void {
    const existing = this.#find(child.id);
    if (existing !== undefined && !isTerminal(existing.status)) {
      const reason = `An Orchestration instance with the status ${existing.status} already exists.`;
      const details = JSON.stringify({ Message: `${reason} Instance id: '${child.id}'.` });
      this.#answer(parent, task, { ok: false, reason, details }, call, atMs);
      return;
    }
    const birth = {
      id: child.id,
      name: call.name,
      input: call.input,
      execution: child.execution,
      parent: { instance: parent.id, execution: parent.execution, task },
    };
    this.#create(call.version === undefined ? birth : { ...birth, version: call.version }, atMs);
  }

  #end(instance: Instance, ending: Ending, atMs: number): void {
    this.#leaveCriticalSection(instance, atMs);
    switch (ending.kind) {
      case "continued":
        this.#continueAsNew(instance, ending, atMs);
        return;
      case "completed":
        instance.status = "Completed";
        instance.output = ending.output;
        break;
      case "failed":
        instance.status = "Failed";
        instance.output = ending.message;
        break;
      case "terminated":
        instance.status = "Terminated";
        instance.output = ending.reason;
        break;
    }
    const result = instance.output ?? undefined;
    remember(instance, {
      type: EventType.ExecutionCompleted,
      atMs,
      status: instance.status,
      ...(result !== undefined && { result }),
    });
    this.#dropWhatIsNoLongerNeeded(instance);
    this.#tellParent(instance, ending, atMs);
    this.#emit({ effect: "finished", id: instance.id });
  }

  #dropWhatIsNoLongerNeeded(instance: Instance): void {
    instance.inbox = [];
    instance.replay = [];
    instance.shape = [];
  }

  #leaveCriticalSection(instance: Instance, atMs: number): void {
    const { lock } = instance;
    instance.lock = undefined;
    for (const to of lock?.lockSet ?? []) this.#deliver({ to, message: { kind: "release", id: lock?.id ?? "" } }, atMs);
  }

  #continueAsNew(instance: Instance, ending: Extract<Ending, { kind: "continued" }>, atMs: number): void {
    if (ending.carried.length > 0) {
      const names = [...new Set(ending.carried.map((event) => `'${event.name}'`))].join(", ");
      this.#emit({
        effect: "warning",
        text:
          `Instance '${instance.id}' continued as new with ${ending.carried.length} event(s) it had not waited for ` +
          `(${names}). They are kept here; Azure would lose them.`,
      });
    }
    const waiting = instance.inbox.map((arrival) => arrival.message);
    const carried = ending.carried.map((event): Message => ({ kind: "event", ...event }));
    instance.execution = nextExecution(instance.execution);
    instance.input = ending.input;
    instance.started = false;
    instance.history = [];
    instance.replay = [];
    instance.shape = [];
    instance.inbox = [];
    instance.nextId = 0;
    instance.processedActions = 0;
    instance.ending = undefined;
    for (const message of [...carried, ...waiting]) this.#deliver({ to: instance.id, message }, atMs);
    this.#emit({ effect: "ready", id: instance.id });
  }

  #tellParent(instance: Instance, ending: Exclude<Ending, { kind: "continued" }>, atMs: number): void {
    if (instance.parent === undefined) return;
    const { instance: to, execution, task } = instance.parent;
    const answer = childAnswer(ending);
    this.#deliver({ to, message: { kind: "child", execution, task, answer } }, atMs);
  }

  #applyEntity(record: EntityRecord): void {
    const instance = this.#find(record.id);
    assert(instance?.entity !== undefined, `an entity batch of '${record.id}', which is not an entity`);
    take(instance, record.took);
    instance.updatedAtMs = record.atMs;
    if (record.state !== undefined) {
      instance.entity.exists = record.state.exists;
      instance.entity.state = record.state.text;
    }
    if (record.lockedBy !== undefined) instance.entity.lockedBy = record.lockedBy ?? undefined;
    for (const delivery of record.sends ?? []) this.#deliver(delivery, record.atMs);
    const { exists, lockedBy } = instance.entity;
    if (instance.inbox.length > 0) this.#emit({ effect: "ready", id: instance.id });
    else if (!exists && lockedBy === undefined) this.live.delete(instance.id);
  }

  #rewind(id: string, atMs: number, reason: string): void {
    const instance = this.#find(id);
    assert(instance?.status === "Failed", `a rewind of '${id}', which has not failed`);
    rewindInstance(instance, atMs, reason, (childId, task) => {
      const child = this.#find(childId);
      const isOwn = child?.parent?.execution === instance.execution && child.parent.task === task;
      if (child === undefined || !isOwn) return false;
      if (child.status === "Failed") this.#rewind(childId, atMs, reason);
      return !isTerminal(child.status);
    });
    this.#emit({ effect: "ready", id });
  }
}

function take(instance: Instance, took: readonly SeqRange[]): Arrival[] {
  if (took.length === 0) return [];
  const taken: Arrival[] = [];
  const left: Arrival[] = [];
  for (const arrival of instance.inbox) {
    const isTaken = took.some(([first, last]) => arrival.seq >= first && arrival.seq <= last);
    (isTaken ? taken : left).push(arrival);
  }
  instance.inbox = left;
  return taken;
}

function scheduledEvent({ id, call, child }: Extract<Op, { op: "call" }>, atMs: number): HistoryEvent {
  switch (call.kind) {
    case "activity":
      return { type: EventType.TaskScheduled, atMs, id, name: call.name, input: call.input };
    case "http":
      return {
        type: EventType.TaskScheduled,
        atMs,
        id,
        name: "BuiltIn::HttpActivity",
        input: JSON.stringify(call.request),
      };
    case "child": {
      const event = { type: EventType.SubOrchestrationInstanceCreated, atMs, id, name: call.name, input: call.input };
      return child === undefined ? event : { ...event, instance: child.id };
    }
  }
}

function sentEvent({ id, to, message }: Extract<Op, { op: "send" }>, atMs: number): HistoryEvent {
  const body =
    message.kind === "operation"
      ? {
          op: message.name,
          ...(message.caller === undefined && { signal: true }),
          ...(message.input !== null && { input: message.input }),
          id: message.id,
        }
      : { id: message.id };
  return { type: EventType.EventSent, atMs, id, instance: to, name: message.kind, input: JSON.stringify(body) };
}

function childAnswer(ending: Exclude<Ending, { kind: "continued" }>): TaskAnswer {
  if (ending.kind === "completed") return { ok: true, result: ending.output };
  const reason = ending.kind === "failed" ? ending.message : ending.reason;
  return { ok: false, reason, details: JSON.stringify({ Message: reason }) };
}
