// One timer: waits until it is due, runs its function, remembers, and waits again. One scheduled run at a time; what
// falls due meanwhile is one run right after. Nothing the function does ends the schedule.

import type { Clock } from "../../task-hub/clock.ts";
import type { FunctionEntry, Invoker } from "../function-entry.ts";
import { NEVER_MS, type Schedule } from "./schedule.ts";
import type { TimerMonitor } from "./timer-monitor.ts";
import { planTimerStart, renderStatus, statusAfterRun, type TimerStatus } from "./timer-status.ts";

export interface TimerListenerOptions {
  readonly entry: FunctionEntry;
  readonly schedule: Schedule;
  /** Absent: nothing is remembered across restarts. */
  readonly monitor: TimerMonitor | undefined;
  readonly clock: Clock;
  readonly invoker: Invoker;
}

interface Run {
  readonly reason: string;
  readonly isPastDue: boolean;
}

const REGULAR: Run = { reason: "timer", isPastDue: false };
const PAST_DUE: Run = { reason: "timer is past due", isPastDue: true };
const ON_STARTUP: Run = { reason: "timer runs on startup", isPastDue: false };
const BY_HAND: Run = { reason: "run by hand", isPastDue: false };

export class TimerListener {
  readonly entry: FunctionEntry;
  readonly schedule: Schedule;
  readonly #options: TimerListenerOptions;
  #status: TimerStatus;
  #cancelWait: () => void = () => {};
  /** The scheduled run, and those by hand beside it. */
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;

  constructor(options: TimerListenerOptions) {
    this.entry = options.entry;
    this.schedule = options.schedule;
    this.#options = options;
    this.#status = { lastMs: undefined, nextMs: options.schedule.nextMs(options.clock.nowMs()), updatedMs: undefined };
  }

  get nextMs(): number {
    return this.#status.nextMs;
  }

  async start(): Promise<void> {
    const { monitor, clock } = this.#options;
    let isPastDue = false;
    if (monitor !== undefined) {
      const plan = planTimerStart(this.schedule, monitor.load(this.entry.name), clock.nowMs());
      this.#status = plan.status;
      isPastDue = plan.isPastDue;
      if (plan.isChanged) await monitor.save(this.entry.name, plan.status);
    }
    if (this.#isStopped) return;
    if (isPastDue) this.#begin(PAST_DUE);
    else if (this.entry.trigger.runOnStartup === true) this.#begin(ON_STARTUP);
    else this.#wait();
  }

  /** No further run begins; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelWait();
    await Promise.allSettled(this.#running);
  }

  /** A run by hand: beside the schedule, which it leaves as it is. */
  runByHand(): void {
    this.#track(this.#invoke(BY_HAND));
  }

  #wait(): void {
    const { nextMs } = this.#status;
    if (this.#isStopped || nextMs >= NEVER_MS) return;
    const { clock } = this.#options;
    // Through the clock even when it is late: a function that always is must not keep everything else from running.
    this.#cancelWait = clock.after(nextMs - clock.nowMs(), () => {
      if (clock.nowMs() >= nextMs) this.#begin(REGULAR);
      else this.#wait();
    });
  }

  #begin(run: Run): void {
    this.#track(this.#run(run).finally(() => this.#wait()));
  }

  #track(run: Promise<void>): void {
    this.#running.add(run);
    void run.finally(() => this.#running.delete(run));
  }

  async #run(run: Run): Promise<void> {
    const { clock, monitor } = this.#options;
    const startedMs = clock.nowMs();
    await this.#invoke(run);
    // What is due next follows from when this run began: what was missed meanwhile is one run, at once.
    this.#status = statusAfterRun(this.schedule, startedMs);
    await monitor?.save(this.entry.name, this.#status);
  }

  async #invoke({ reason, isPastDue }: Run): Promise<void> {
    const status = this.#options.monitor === undefined ? null : renderStatus(this.#status);
    const Schedule = { AdjustForDST: this.schedule.adjustsForDaylightSaving };
    const payload = { Schedule, ScheduleStatus: status, IsPastDue: isPastDue };
    await this.#options.invoker.invoke({ entry: this.entry, trigger: { json: JSON.stringify(payload) }, reason });
  }
}
