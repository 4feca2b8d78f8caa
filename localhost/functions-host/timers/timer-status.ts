// What a timer remembers across restarts, and what follows from it at the next start. Pure. As in the real host: runs
// missed while the host was down become one run, and a changed schedule makes nothing past due.

import type { Schedule } from "./schedule.ts";

export interface TimerStatus {
  /** When it ran; undefined: never under this schedule. */
  readonly lastMs: number | undefined;
  readonly nextMs: number;
  /** The instant from which `nextMs` was computed. */
  readonly updatedMs: number | undefined;
}

export interface TimerStart {
  readonly status: TimerStatus;
  readonly isPastDue: boolean;
  /** The status is new and has to be stored. */
  readonly isChanged: boolean;
}

export function planTimerStart(schedule: Schedule, stored: TimerStatus | undefined, nowMs: number): TimerStart {
  if (stored === undefined) {
    const status = { lastMs: undefined, nextMs: schedule.nextMs(nowMs), updatedMs: nowMs };
    return { status, isPastDue: false, isChanged: true };
  }
  const fromMs = stored.lastMs ?? stored.updatedMs ?? nowMs;
  const expectedMs = schedule.nextMs(fromMs);
  if (expectedMs === stored.nextMs) return { status: stored, isPastDue: nowMs > stored.nextMs, isChanged: false };
  const updatedMs = nowMs > expectedMs ? nowMs : fromMs;
  const status = { lastMs: undefined, nextMs: schedule.nextMs(updatedMs), updatedMs };
  return { status, isPastDue: false, isChanged: true };
}

export function statusAfterRun(schedule: Schedule, ranAtMs: number): TimerStatus {
  return { lastMs: ranAtMs, nextMs: schedule.nextMs(ranAtMs), updatedMs: ranAtMs };
}

/** .NET's way of saying "never". */
const NEVER = "0001-01-01T00:00:00";

/** The form in which a status is stored, and told to the function. */
export interface RenderedStatus {
  readonly Last: string;
  readonly Next: string;
  readonly LastUpdated: string;
}

export function renderStatus({ lastMs, nextMs, updatedMs }: TimerStatus): RenderedStatus {
  return { Last: renderInstant(lastMs), Next: renderInstant(nextMs), LastUpdated: renderInstant(updatedMs) };
}

/** Undefined when it is no status. */
export function parseStatus(value: unknown): TimerStatus | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { Last, Next, LastUpdated } = value as Record<string, unknown>;
  const nextMs = parseInstant(Next);
  if (nextMs === undefined) return undefined;
  return { lastMs: parseInstant(Last), nextMs, updatedMs: parseInstant(LastUpdated) };
}

function renderInstant(ms: number | undefined): string {
  return ms === undefined ? NEVER : new Date(ms).toISOString();
}

function parseInstant(value: unknown): number | undefined {
  if (typeof value !== "string" || value === NEVER) return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}
