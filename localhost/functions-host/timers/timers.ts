// All timers of an app: made from its timer triggers, started together, stopped together. A schedule that cannot be
// understood is reported and its function not run, as in the real host; the other functions do not suffer.

import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";
import type { Clock } from "../../task-hub/clock.ts";
import type { FunctionEntry, Invoker } from "../function-entry.ts";
import type { RefusedFunction } from "../function-table.ts";
import type { HostLog } from "../host-log.ts";
import { parseSchedule } from "./schedule.ts";
import { openTimeZone, type TimeZone } from "./time-zone.ts";
import { TimerListener } from "./timer-listener.ts";
import { TimerMonitor } from "./timer-monitor.ts";

export interface TimersOptions {
  /** All functions; those with a timer trigger are taken. */
  readonly entries: readonly FunctionEntry[];
  readonly invoker: Invoker;
  readonly clock: Clock;
  /** The setting WEBSITE_TIME_ZONE: in which schedules are read. Undefined or unknown: the machine's own. */
  readonly zoneName: string | undefined;
  /** Where timers remember when they ran. */
  readonly folder: string;
  readonly log: HostLog;
  /** Replaces %NAME% by the setting of that name; fails when there is none. */
  resolveSetting(text: string): string;
}

export interface TimerView {
  readonly name: string;
  readonly schedule: string;
  readonly nextMs: number;
}

export interface Timers {
  readonly views: readonly TimerView[];
  /** Timers that never run, because their schedule cannot be understood. */
  readonly refused: readonly RefusedFunction[];
  start(): Promise<void>;
  /** Starts a run beside the schedule; false when there is no such timer. */
  runByHand(functionName: string): boolean;
  /** No run begins any more; resolves when those under way have ended, or after the time given. */
  stop(graceMs?: number): Promise<void>;
}

const DEFAULT_GRACE_MS = 5_000;

export function createTimers(options: TimersOptions): Timers {
  const listeners = new Map<string, TimerListener>();
  const refused: RefusedFunction[] = [];
  const zone = zoneOf(options);
  for (const entry of options.entries) {
    if (entry.kind !== "timer") continue;
    try {
      listeners.set(entry.name.toLowerCase(), createListener(entry, zone, options));
    } catch (error) {
      if (!(error instanceof HoldfastFailure)) throw error;
      const reason = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
      options.log.write("error", `Function.${entry.name}`, `The timer does not run: ${reason}`);
      refused.push({ name: entry.name, reason });
    }
  }
  return new AppTimers(listeners, refused);
}

class AppTimers implements Timers {
  readonly refused: readonly RefusedFunction[];
  readonly #listeners: ReadonlyMap<string, TimerListener>;

  constructor(listeners: ReadonlyMap<string, TimerListener>, refused: readonly RefusedFunction[]) {
    this.#listeners = listeners;
    this.refused = refused;
  }

  get views(): readonly TimerView[] {
    return [...this.#listeners.values()].map(({ entry, schedule, nextMs }) => ({
      name: entry.name,
      schedule: schedule.text,
      nextMs,
    }));
  }

  async start(): Promise<void> {
    await Promise.all([...this.#listeners.values()].map((listener) => listener.start()));
  }

  runByHand(functionName: string): boolean {
    const listener = this.#listeners.get(functionName.toLowerCase());
    listener?.runByHand();
    return listener !== undefined;
  }

  async stop(graceMs = DEFAULT_GRACE_MS): Promise<void> {
    const stopped = Promise.all([...this.#listeners.values()].map((listener) => listener.stop()));
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, graceMs);
    await Promise.race([stopped, patience.promise]);
    clearTimeout(timer);
  }
}

function zoneOf({ zoneName, log }: TimersOptions): TimeZone {
  try {
    return openTimeZone(zoneName);
  } catch (error) {
    log.write("warning", "Host", `${messageOf(error)} Schedules are read in the machine's time zone.`);
    return openTimeZone(undefined);
  }
}

function createListener(entry: FunctionEntry, zone: TimeZone, options: TimersOptions): TimerListener {
  const { clock, folder, invoker, log, resolveSetting } = options;
  const schedule = parseSchedule(resolveSetting(textOf(entry)), zone);
  const remembers = entry.trigger.useMonitor !== false && !schedule.isSubMinute;
  const monitor = remembers ? new TimerMonitor(folder, log) : undefined;
  return new TimerListener({ entry, schedule, monitor, clock, invoker });
}

function textOf({ trigger }: FunctionEntry): string {
  return typeof trigger.schedule === "string" ? trigger.schedule : "";
}
