// Runs episodes of orchestrations and batches of entities: one at a time for each instance, a bounded number at once.
//
// Pacing: a replay costs time in proportion to the whole history. After one that took c ms the next waits up to 4c (at
// most 250 ms) unless every open task has already answered, so that a wide fan-out is replayed a few times, not once
// for each answer. Measured in docs/performance.md.

import { assert } from "../../src/base/assert.ts";
import { type HoldfastFailure, messageOf } from "../../src/base/failure.ts";
import type { HostLog } from "../functions-host/host-log.ts";
import type { Clock } from "./clock.ts";
import { type Batch, nextBatch } from "./engine/batch.ts";
import { entityPayload, entityRecord, failedEntityRecord, nextEntityStep } from "./engine/entity.ts";
import {
  type EpisodeContext,
  failureMessage,
  interpret,
  quietRecord,
  replayPayload,
  seqRanges,
} from "./engine/episode.ts";
import { type Instance, isTerminal } from "./engine/instance.ts";
import type { EpisodeRecord } from "./engine/records.ts";
import type { DurableFunctions } from "./functions-port.ts";
import type { HubSettings } from "./hub-settings.ts";
import { isTooLarge, type Ledger } from "./ledger.ts";

const PACING_FACTOR = 4;
const LONGEST_PACE_MS = 250;
/** Replays shorter than this are not worth waiting for. */
const FREE_REPLAY_MS = 1;
const SLICE_MS = 10;
const MOST_FAULTS = 5;

interface Pace {
  untilMs: number;
  cancel: (() => void) | undefined;
}

export interface EpisodeRunnerParts {
  readonly ledger: Ledger;
  readonly functions: DurableFunctions;
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly log: HostLog;
  readonly newId: () => string;
}

export class EpisodeRunner {
  readonly #parts: EpisodeRunnerParts;
  readonly #ready = new Set<string>();
  readonly #running = new Set<string>();
  readonly #paces = new Map<string, Pace>();
  readonly #faults = new Map<string, number>();
  readonly #missing = new Set<string>();
  /** Where the last failure of a running instance was thrown. */
  readonly #stacks = new Map<string, string>();
  #pumping = false;
  #stopped = false;

  constructor(parts: EpisodeRunnerParts) {
    this.#parts = parts;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  wake(id: string): void {
    if (this.#stopped) return;
    this.#ready.add(id);
    this.#schedulePump();
  }

  stackOf(id: string): string | undefined {
    return this.#stacks.get(id);
  }

  forget(id: string): void {
    this.#stacks.delete(id);
    this.#paces.get(id)?.cancel?.();
    this.#paces.delete(id);
    this.#faults.delete(id);
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#paces.values()) cancel?.();
  }

  // Once in a turn of the event loop: what arrives in one turn is taken by one episode.
  #schedulePump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    const sliceEndsAt = performance.now() + SLICE_MS;
    for (const id of this.#ready) {
      if (this.#stopped || this.#running.size >= this.#parts.settings.maxConcurrentOrchestratorFunctions) return;
      if (performance.now() > sliceEndsAt) {
        this.#schedulePump();
        return;
      }
      if (this.#running.has(id)) continue;
      this.#ready.delete(id);
      const instance = this.#parts.ledger.state.live.get(id);
      if (instance === undefined || isTerminal(instance.status)) continue;
      this.#run(instance);
    }
  }

  #run(instance: Instance): void {
    const { id } = instance;
    const work = this.#step(instance);
    if (work === undefined) return;
    this.#running.add(id);
    work
      .then(
        () => this.#faults.delete(id),
        (fault) => this.#onFault(instance, fault),
      )
      .finally(() => {
        this.#running.delete(id);
        this.#schedulePump();
      });
  }

  #step(instance: Instance): Promise<void> | undefined {
    try {
      return instance.entity === undefined ? this.#runEpisode(instance) : this.#runEntityStep(instance);
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  #runEpisode(instance: Instance): Promise<void> | undefined {
    if (this.#isPaced(instance)) return undefined;
    const batch = nextBatch(instance);
    if (batch === undefined) return undefined;
    if (!batch.callsFunction) return this.#commit(quietRecord(instance, batch, this.#context(instance)));
    const name = this.#parts.functions.nameOf("orchestration", instance.name);
    return name === undefined ? this.#withoutFunction(instance, batch) : this.#replay(instance, batch, name);
  }

  async #replay(instance: Instance, batch: Batch, name: string): Promise<void> {
    const context = this.#context(instance);
    const startedMs = performance.now();
    const payload = replayPayload(instance, batch, context.atMs);
    const outcome = await this.#parts.functions.runOrchestrator(name, payload, instance.id);
    if (!this.#isCurrent(instance)) return;
    if (!outcome.ok && outcome.stack !== undefined) this.#stacks.set(instance.id, outcome.stack);
    const record = interpret(instance, batch, outcome, context);
    this.#pace(instance.id, performance.now() - startedMs);
    try {
      await this.#commit(record);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      await this.#commit(this.#failure(instance, batch, tooLarge(error)));
    }
  }

  /** False when a client has replaced the instance while its function ran. */
  #isCurrent(instance: Instance): boolean {
    return this.#parts.ledger.state.live.get(instance.id) === instance;
  }

  /** Resolves at once: the next episode may be decided on this one before it is durable (see ledger.ts). */
  async #commit(record: EpisodeRecord): Promise<void> {
    this.#parts.ledger.commit(record).catch(() => {});
  }

  // A new instance of an unknown function fails. One that has run before waits: its app may only be half deployed.
  #withoutFunction(instance: Instance, batch: Batch): Promise<void> | undefined {
    if (!instance.started) {
      const problem =
        `the function '${instance.name}' doesn't exist, is disabled, or is not an orchestrator function. ` +
        this.#knownNames();
      return this.#commit(this.#failure(instance, batch, problem));
    }
    if (this.#missing.has(instance.name)) return undefined;
    this.#missing.add(instance.name);
    this.#parts.log.write(
      "warning",
      "DurableTask",
      `Instances of orchestrator '${instance.name}' are waiting: the app no longer registers it. They go on when it ` +
        "does; terminate them if it is gone for good.",
    );
    return undefined;
  }

  #knownNames(): string {
    const names = this.#parts.functions.namesOf("orchestration");
    return names.length === 0 ? "The app has no orchestrators." : `Orchestrators of this app: ${names.join(", ")}.`;
  }

  #failure(instance: Instance, batch: Batch, problem: string): EpisodeRecord {
    return {
      r: "episode",
      id: instance.id,
      atMs: this.#context(instance).atMs,
      took: seqRanges(batch.arrivals),
      ran: true,
      ending: { kind: "failed", message: failureMessage(instance, problem) },
      abandons: true,
    };
  }

  #runEntityStep(instance: Instance): Promise<void> | undefined {
    const { ledger, functions } = this.#parts;
    const atMs = this.#context(instance).atMs;
    const step = nextEntityStep(instance, atMs, (owner, lockId) => ledger.state.live.get(owner)?.lock?.id === lockId);
    if (step === undefined) return undefined;
    if (step.step === "record") {
      ledger.commit(step.record).catch(() => {});
      return Promise.resolve();
    }
    const name = functions.nameOf("entity", instance.name);
    const { arrivals, operations } = step;
    const run =
      name === undefined
        ? Promise.reject(this.#missingEntity(instance))
        : functions.runEntity(name, entityPayload(instance, operations), instance.id);
    return run
      .then(
        (outcome) => entityRecord(instance, arrivals, outcome, this.#context(instance).atMs),
        (error) => failedEntityRecord(instance, arrivals, messageOf(error), this.#context(instance).atMs),
      )
      .then((record) => {
        try {
          ledger.commit(record).catch(() => {});
        } catch (error) {
          if (!isTooLarge(error)) throw error;
          const { atMs } = this.#context(instance);
          ledger.commit(failedEntityRecord(instance, arrivals, tooLarge(error), atMs)).catch(() => {});
        }
      });
  }

  // Callers hear it as the failure of their call; of signals only the log can tell.
  #missingEntity({ id, name }: Instance): Error {
    const problem = `The app has no entity function '${name}'.`;
    this.#parts.log.write("warning", "DurableTask", `Operations on '${id}' are lost. ${problem}`);
    return new Error(problem);
  }

  /** Time never goes backwards within an instance, even when the clock does. */
  #context(instance: Instance): EpisodeContext {
    const { clock, newId, settings } = this.#parts;
    return {
      atMs: Math.max(clock.nowMs(), instance.updatedAtMs),
      newId,
      limits: { maxActions: settings.maxOrchestrationActions },
    };
  }

  #pace(id: string, replayMs: number): void {
    if (replayMs < FREE_REPLAY_MS) return;
    const waitMs = Math.min(PACING_FACTOR * replayMs, LONGEST_PACE_MS);
    const untilMs = performance.now() + waitMs;
    const pace = this.#paces.get(id);
    if (pace === undefined) this.#paces.set(id, { untilMs, cancel: undefined });
    else pace.untilMs = untilMs;
  }

  #isPaced(instance: Instance): boolean {
    const pace = this.#paces.get(instance.id);
    if (pace === undefined) return false;
    const leftMs = pace.untilMs - performance.now();
    const answersAll = instance.inbox.length >= instance.open.size;
    const kind = instance.inbox[0]?.message.kind;
    const isAnswer = kind === "task" || kind === "child" || kind === "timer";
    if (leftMs <= 0 || answersAll || !isAnswer) {
      pace.cancel?.();
      pace.cancel = undefined;
      return false;
    }
    pace.cancel ??= this.#parts.clock.after(leftMs, () => {
      pace.cancel = undefined;
      this.wake(instance.id);
    });
    return true;
  }

  #onFault(instance: Instance, fault: unknown): void {
    const { log, clock } = this.#parts;
    const faults = (this.#faults.get(instance.id) ?? 0) + 1;
    this.#faults.set(instance.id, faults);
    const text = `An episode of '${instance.id}' (${instance.name}) could not be run: ${messageOf(fault)}`;
    log.write("error", "DurableTask", fault instanceof Error && fault.stack ? `${text}\n${fault.stack}` : text);
    if (!this.#isCurrent(instance) || isTerminal(instance.status)) return;
    if (faults < MOST_FAULTS || instance.entity !== undefined) {
      clock.after(Math.min(2 ** faults, 600) * 1000, () => this.wake(instance.id));
      return;
    }
    const batch = nextBatch(instance);
    assert(batch !== undefined, "an instance whose episode failed still has that episode before it");
    const problem = `the host could not run it in ${faults} attempts: ${messageOf(fault)}`;
    this.#commit(this.#failure(instance, batch, problem));
  }
}

function tooLarge(failure: HoldfastFailure): string {
  return `what it handed over in one step is too large to be kept. ${failure.message} ${failure.hint ?? ""}`;
}
