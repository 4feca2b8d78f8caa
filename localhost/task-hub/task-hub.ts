// The task hub: opens what is on disk, puts everything going again that a stop or a crash interrupted, and connects
// the parts. Effects of the engine meet their runners here and nowhere else.

import { type HoldfastFailure, messageOf } from "../../src/base/failure.ts";
import type { HostLog } from "../functions-host/host-log.ts";
import { ArchiveKeeper } from "./archive-keeper.ts";
import { CallRunner } from "./call-runner.ts";
import { Checkpointer } from "./checkpointer.ts";
import type { Clock } from "./clock.ts";
import { DurableHttpApi } from "./durable-http-api.ts";
import { type Effect, HubState } from "./engine/hub-state.ts";
import type { HubRecord } from "./engine/records.ts";
import { EpisodeRunner } from "./episode-runner.ts";
import type { DurableFunctions } from "./functions-port.ts";
import type { DurableApi } from "./hub-api.ts";
import { HubClient } from "./hub-client.ts";
import type { HubSettings } from "./hub-settings.ts";
import { InstanceIndex } from "./instance-index.ts";
import { type ArchivePointer, openArchive } from "./journal/archive.ts";
import { openJournal } from "./journal/journal.ts";
import { Ledger } from "./ledger.ts";
import { type DueTimer, TimerQueue } from "./timer-queue.ts";

export interface TaskHubOptions {
  /** The hub's own folder; its name holds the hub's name, so that hubs do not mix. */
  readonly folder: string;
  readonly settings: HubSettings;
  readonly functions: DurableFunctions;
  readonly clock: Clock;
  readonly log: HostLog;
  /** 32 random hex digits. */
  readonly newId: () => string;
  /** Where the host is reached, for links: `http://127.0.0.1:7071`. */
  readonly origin: string;
  /** The system key that opens the durable API, when keys are enforced. */
  readonly apiKey?: string;
  /** Called once when the disk refuses: nothing more is durable, so the host has to stop. */
  onBroken(failure: HoldfastFailure): void;
}

export interface TaskHub {
  readonly api: DurableApi;
  readonly client: HubClient;
  /** Sets interrupted work going; before it nothing runs. */
  start(): void;
  /** Waits a while for what runs, then closes the journal. What did not finish is run again at the next start. */
  stop(): Promise<void>;
  /** Records committed since the hub was opened: it stands still while nothing can go on. */
  readonly commitCount: number;
  /** Shortens the journal now. */
  checkpoint(): Promise<void>;
}

const OUTCOME_OF_STATUS: Readonly<Record<string, string>> = { Completed: "succeeded", Failed: "failed" };
const LONGEST_STOP_MS = 5_000;
const PURGE_EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;

export async function openTaskHub(options: TaskHubOptions): Promise<TaskHub> {
  const { folder, log } = options;
  const state = new HubState();
  const journal = await openJournal({
    folder,
    onRecord: (record) => void state.apply(record as HubRecord),
    report: (finding) => log.write("warning", "DurableTask", finding.message),
    onBroken: options.onBroken,
  });
  // In the journal's folder: whoever moves one away must move both, or the archive would see nothing alive.
  const archive = await openArchive({ folder, live: pointersOf(state) });
  return new RunningHub(options, state, journal, archive);
}

function* pointersOf(state: HubState): Iterable<ArchivePointer> {
  for (const entry of state.finished.values()) yield entry.pointer as ArchivePointer;
}

class RunningHub implements TaskHub {
  readonly api: DurableApi;
  readonly client: HubClient;
  readonly #options: TaskHubOptions;
  readonly #journal: Awaited<ReturnType<typeof openJournal>>;
  readonly #archive: Awaited<ReturnType<typeof openArchive>>;
  readonly #ledger: Ledger;
  readonly #index: InstanceIndex;
  readonly #episodes: EpisodeRunner;
  readonly #calls: CallRunner;
  readonly #timers: TimerQueue;
  readonly #keeper: ArchiveKeeper;
  readonly #checkpointer: Checkpointer;
  #cancelUpkeep: () => void = () => {};

  constructor(
    options: TaskHubOptions,
    state: HubState,
    journal: Awaited<ReturnType<typeof openJournal>>,
    archive: Awaited<ReturnType<typeof openArchive>>,
  ) {
    const { clock } = options;
    this.#options = options;
    this.#journal = journal;
    this.#archive = archive;
    this.#ledger = new Ledger(
      state,
      journal,
      (effect) => this.#perform(effect),
      () => this.#checkpointer.consider(),
    );
    this.#index = new InstanceIndex(state);
    const parts = { ...options, ledger: this.#ledger, index: this.#index };
    this.#episodes = new EpisodeRunner(parts);
    this.#calls = new CallRunner(parts);
    this.#timers = new TimerQueue(
      clock,
      (timer) => this.#fire(timer),
      (timer) => this.#awaits(timer),
    );
    this.#keeper = new ArchiveKeeper({ ...parts, archive });
    this.#checkpointer = new Checkpointer(journal, this.#ledger, (text) =>
      options.log.write("error", "DurableTask", text),
    );
    this.client = new HubClient({ ...parts, keeper: this.#keeper });
    this.api = new DurableHttpApi({ ...options, client: this.client });
  }

  start(): void {
    for (const effect of this.#ledger.state.pendingEffects()) {
      // Told when it happened; what is left to do is to archive it.
      if (effect.effect === "finished") this.#keeper.add(effect.id);
      else this.#perform(effect);
    }
    this.#keepUp();
  }

  get commitCount(): number {
    return this.#ledger.commitCount;
  }

  checkpoint(): Promise<void> {
    return this.#checkpointer.run();
  }

  async stop(): Promise<void> {
    this.#cancelUpkeep();
    this.#timers.stop();
    this.#calls.stop();
    this.#episodes.stop();
    await this.#quiet();
    await this.#keeper.stop();
    await this.#checkpointer.stop();
    this.#ledger.close();
    await this.#journal.close();
    await this.#archive.close();
  }

  async #quiet(): Promise<void> {
    const deadlineMs = performance.now() + LONGEST_STOP_MS;
    while (this.#calls.runningCount + this.#episodes.runningCount > 0 && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #perform(effect: Effect): void {
    switch (effect.effect) {
      case "ready":
        this.#episodes.wake(effect.id);
        break;
      case "created":
        this.#index.add(effect.id);
        break;
      case "call":
        this.#calls.add(effect);
        break;
      case "timer":
        this.#timers.add(effect);
        break;
      case "finished":
        this.#logEnd(effect.id);
        this.#episodes.forget(effect.id);
        this.client.announceEnd(effect.id);
        this.#keeper.add(effect.id);
        break;
      case "released":
        this.#keeper.release(effect.pointer);
        break;
      case "warning":
        this.#options.log.write("warning", "DurableTask", effect.text);
        break;
    }
  }

  #logEnd(id: string): void {
    const instance = this.#ledger.state.live.get(id);
    if (instance === undefined) return;
    const { name, status, output, createdAtMs, updatedAtMs } = instance;
    const fields = {
      event: "invocation",
      function: name,
      reason: `orchestration ${id}`,
      invocationId: id,
      durationMs: updatedAtMs - createdAtMs,
      outcome: OUTCOME_OF_STATUS[status] ?? status.toLowerCase(),
    };
    if (status !== "Failed") {
      this.#options.log.write("information", `Function.${name}`, status, fields);
      return;
    }
    const stack = this.#episodes.stackOf(id);
    const text = stack === undefined ? (output ?? "") : `${output}\n${stack}`;
    this.#options.log.write("error", `Function.${name}`, text, fields);
  }

  #awaits({ id, execution, task }: DueTimer): boolean {
    const instance = this.#ledger.state.live.get(id);
    return instance?.execution === execution && instance.open.get(task)?.kind === "timer";
  }

  #fire(timer: DueTimer): void {
    if (!this.#awaits(timer)) return;
    const { id, execution, task, fireAtMs } = timer;
    const deliveries = [{ to: id, message: { kind: "timer", execution, task, fireAtMs } as const }];
    this.#ledger.commit({ r: "arrived", atMs: this.#options.clock.nowMs(), deliveries }).catch(() => {});
  }

  #keepUp(): void {
    void this.#purgeOld();
    this.#cancelUpkeep = this.#options.clock.after(PURGE_EVERY_MS, () => this.#keepUp());
  }

  async #purgeOld(): Promise<void> {
    const { clock, log, settings } = this.#options;
    if (settings.keepFinishedDays === 0) return;
    const createdToMs = clock.nowMs() - settings.keepFinishedDays * DAY_MS;
    try {
      const count = await this.client.purgeBy({ createdToMs, endedBeforeMs: createdToMs });
      if (count === 0) return;
      log.write(
        "information",
        "DurableTask",
        `Purged ${count} instances that ended more than ${settings.keepFinishedDays} days ago.`,
      );
    } catch (error) {
      log.write("error", "DurableTask", `Old instances could not be purged: ${messageOf(error)}`);
    }
  }
}
