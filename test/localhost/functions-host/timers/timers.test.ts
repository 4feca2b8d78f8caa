// Timers on a virtual clock, with all else real: the library and its handlers, the invoker, the files they remember in.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Timer, TimerFunctionOptions } from "@azure/functions";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTimers, type Timers } from "../../../../localhost/functions-host/timers/timers.ts";
import { HoldfastFailure } from "../../../../src/base/failure.ts";
import { libraryInvoker, registerFunctions } from "../../../support/http-functions.ts";
import { VirtualClock } from "../../../support/virtual-clock.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const START = "2026-03-01T00:00:00.000Z";

interface Call {
  readonly at: string;
  readonly timer: Timer;
}

let folder: string;
let clock: VirtualClock;
let calls: Call[];
let log: string[];
let running: Timers | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-timers-"));
  clock = new VirtualClock(Date.parse(START));
  calls = [];
  log = [];
});

afterEach(async () => {
  await running?.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Handler = () => unknown;

interface Given extends Omit<TimerFunctionOptions, "handler"> {
  readonly handler?: Handler;
  readonly zoneName?: string;
}

function create({ handler, zoneName = "UTC", ...options }: Given, name = "tick"): Timers {
  const entries = registerFunctions((app) => {
    app.timer(name, {
      ...options,
      handler: async (timer) => {
        calls.push({ at: now(), timer });
        await handler?.();
      },
    });
    app.http("hello", { handler: () => ({}) });
  });
  return createTimers({
    entries,
    invoker: libraryInvoker(),
    clock,
    zoneName,
    folder,
    log: { write: (level, category, message) => void log.push(`${level} ${category}: ${message}`) },
    resolveSetting: (text) => {
      if (text === "%MISSING%") throw new HoldfastFailure("invalid", "SettingMissing", "'%MISSING%' is not set.");
      return text.replace("%HOURLY%", "0 0 * * * *");
    },
  });
}

/** A host that starts: resolves when the timer waits for its next run, or is in one that does not end. */
async function start(given: Given): Promise<Timers> {
  running = create(given);
  const before = calls.length;
  await running.start();
  await until(() => clock.nextMs() !== undefined || calls.length > before);
  return running;
}

/** A host that stops, and is down until the instant. */
async function downUntil(instant: string): Promise<void> {
  await running?.stop();
  clock.advance(Date.parse(instant) - clock.nowMs());
}

/** Lets time pass until the runs have begun, each after the one before has ended. */
async function passUntilRuns(count: number): Promise<void> {
  while (calls.length < count) {
    await until(() => clock.nextMs() !== undefined);
    const before = calls.length;
    clock.advance((clock.nextMs() ?? 0) - clock.nowMs());
    await until(() => calls.length > before);
  }
}

/** Resolves when the timer waits again: its run has ended, and has been written down. */
function settled(): Promise<void> {
  return until(() => clock.nextMs() !== undefined);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate();
}

function now(): string {
  return new Date(clock.nowMs()).toISOString();
}

function remembered(name = "tick"): unknown {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
}

const instant = (text: string): string => new Date(text).toISOString();
const NEVER = "0001-01-01T00:00:00";

describe("a timer", () => {
  it("runs when it is due, again and again", async () => {
    await start({ schedule: "0 */20 * * * *" });
    await passUntilRuns(4);
    expect(calls.map(({ at }) => at)).toEqual(
      ["2026-03-01T00:20Z", "2026-03-01T00:40Z", "2026-03-01T01:00Z", "2026-03-01T01:20Z"].map(instant),
    );
    expect(calls.map(({ timer }) => timer.isPastDue)).toEqual([false, false, false, false]);
  });

  it("reads its schedule in the time zone of WEBSITE_TIME_ZONE", async () => {
    await start({ schedule: "0 30 9 * * *", zoneName: "Asia/Tokyo" });
    await passUntilRuns(1);
    expect(calls[0]?.at).toBe(instant("2026-03-01T09:30:00+09:00"));
  });

  it("waits for months without running early", async () => {
    await start({ schedule: "0 0 0 1 7 *" });
    clock.advance(Date.parse("2026-06-30T23:59:59Z") - clock.nowMs());
    await setImmediate();
    expect(calls).toEqual([]);
    await passUntilRuns(1);
    expect(calls[0]?.at).toBe(instant("2026-07-01T00:00Z"));
  });

  it("tells the function its schedule and when it ran, in the words of the library", async () => {
    await start({ schedule: "0 0 * * * *" });
    await passUntilRuns(2);
    const next = instant("2026-03-01T01:00Z");
    expect(calls[0]?.timer).toEqual({
      isPastDue: false,
      schedule: { adjustForDST: true },
      scheduleStatus: { last: NEVER, next, lastUpdated: START },
    });
    expect(calls[1]?.timer.scheduleStatus).toEqual({
      last: next,
      next: instant("2026-03-01T02:00Z"),
      lastUpdated: next,
    });
  });

  it("takes a time span, which starts with the host", async () => {
    clock.advance(1_234);
    await start({ schedule: "00:05:00" });
    await passUntilRuns(2);
    expect(calls.map(({ at }) => at)).toEqual(["2026-03-01T00:05:01.234Z", "2026-03-01T00:10:01.234Z"]);
    expect(calls[0]?.timer.schedule).toEqual({ adjustForDST: false });
  });

  it("goes on after a run that throws, and remembers that it ran", async () => {
    await start({
      schedule: "0 0 * * * *",
      handler: () => {
        throw new Error("not today");
      },
    });
    await passUntilRuns(2);
    await settled();
    expect(remembered()).toMatchObject({ Last: instant("2026-03-01T02:00Z"), Next: instant("2026-03-01T03:00Z") });
  });

  it("never runs twice at once: what falls due meanwhile is one run, right after", async () => {
    const first = Promise.withResolvers<void>();
    await start({ schedule: "0 0 * * * *", handler: () => first.promise });
    await passUntilRuns(1);
    clock.advance(3.5 * HOUR_MS);
    await setImmediate();
    expect(calls).toHaveLength(1);
    first.resolve();
    await settled();
    await passUntilRuns(3);
    expect(calls.map(({ at }) => at)).toEqual(
      ["2026-03-01T01:00Z", "2026-03-01T04:30Z", "2026-03-01T05:00Z"].map(instant),
    );
    expect(calls[1]?.timer.isPastDue).toBe(false);
  });

  it("lets other work through when it is always late", async () => {
    await start({ schedule: "00:00:00.001", handler: () => clock.advance(5) });
    let beats = 0;
    for (let passed = 0; passed < 50; passed++) {
      clock.advance(1);
      await setImmediate();
      beats += 1;
    }
    expect(beats).toBe(50);
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.length).toBeLessThanOrEqual(51);
  });

  it("with runOnStartup runs when the host starts, and then by its schedule", async () => {
    clock.advance(90_000);
    await start({ schedule: "0 0 * * * *", runOnStartup: true });
    await settled();
    await passUntilRuns(2);
    expect(calls.map(({ at }) => at)).toEqual(["2026-03-01T00:01:30Z", "2026-03-01T01:00Z"].map(instant));
    expect(calls[0]?.timer.isPastDue).toBe(false);
  });

  it("that is never due does not run, and keeps nothing waiting", async () => {
    running = create({ schedule: "0 0 0 31 2 *" });
    await running.start();
    clock.advance(3650 * DAY_MS);
    expect(calls).toEqual([]);
    expect(clock.nextMs()).toBeUndefined();
  });
});

describe("a timer that remembers", () => {
  it("writes down when it is due before it has ever run", async () => {
    await start({ schedule: "0 0 0 * * *" });
    expect(remembered()).toEqual({ Last: NEVER, Next: instant("2026-03-02T00:00Z"), LastUpdated: START });
  });

  it("makes one run, past due, of all that were missed while the host was down", async () => {
    await start({ schedule: "0 0 * * * *" });
    await passUntilRuns(1);
    await settled();
    await downUntil("2026-03-01T05:10:00Z");
    await start({ schedule: "0 0 * * * *" });
    await settled();
    await passUntilRuns(3);
    expect(calls.map(({ at, timer }) => [at, timer.isPastDue])).toEqual([
      [instant("2026-03-01T01:00Z"), false],
      [instant("2026-03-01T05:10Z"), true],
      [instant("2026-03-01T06:00Z"), false],
    ]);
    expect(calls[1]?.timer.scheduleStatus.next).toBe(instant("2026-03-01T02:00Z"));
  });

  it("is past due even if it had never run before", async () => {
    await start({ schedule: "0 0 * * * *" });
    await downUntil("2026-03-01T01:00:00.001Z");
    await start({ schedule: "0 0 * * * *" });
    expect(calls.map(({ timer }) => timer.isPastDue)).toEqual([true]);
  });

  it("runs past due once, not for runOnStartup too", async () => {
    await start({ schedule: "0 0 * * * *" });
    await downUntil("2026-03-01T03:10:00Z");
    await start({ schedule: "0 0 * * * *", runOnStartup: true });
    await settled();
    expect(calls.map(({ timer }) => timer.isPastDue)).toEqual([true]);
  });

  it("is not past due when the host was down between runs only", async () => {
    await start({ schedule: "0 0 * * * *" });
    await passUntilRuns(1);
    await settled();
    await downUntil("2026-03-01T01:59:59Z");
    await start({ schedule: "0 0 * * * *" });
    expect(calls).toHaveLength(1);
    await passUntilRuns(2);
    expect(calls[1]).toMatchObject({ at: instant("2026-03-01T02:00Z"), timer: { isPastDue: false } });
  });

  it("is not past due by a schedule that it did not have then", async () => {
    await start({ schedule: "0 0 * * * *" });
    await passUntilRuns(1);
    await settled();
    await downUntil("2026-03-01T12:30:00Z");
    await start({ schedule: "0 15 * * * *" });
    expect(calls).toHaveLength(1);
    expect(remembered()).toEqual({
      Last: NEVER,
      Next: instant("2026-03-01T13:15Z"),
      LastUpdated: instant("2026-03-01T12:30Z"),
    });
  });

  it("takes over a changed schedule from its last run, when that is still ahead", async () => {
    await start({ schedule: "0 0 * * * *" });
    await passUntilRuns(1);
    await settled();
    await downUntil("2026-03-01T01:10:00Z");
    await start({ schedule: "0 45 * * * *" });
    expect(remembered()).toMatchObject({
      Last: NEVER,
      Next: instant("2026-03-01T01:45Z"),
      LastUpdated: instant("2026-03-01T01:00Z"),
    });
  });

  it("counts the time span on from its last run", async () => {
    await start({ schedule: "01:00:00" });
    await passUntilRuns(1);
    await settled();
    await downUntil("2026-03-01T01:20:00Z");
    await start({ schedule: "01:00:00" });
    await passUntilRuns(2);
    expect(calls[1]?.at).toBe(instant("2026-03-01T02:00Z"));
  });

  it.each(["not json", "[]", '{"Next":"soon"}', ""])(
    "starts afresh, and says so, when its memory is '%s'",
    async (text) => {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "tick.json"), text);
      await start({ schedule: "0 0 * * * *" });
      expect(log.join()).toMatch(/^warning Function\.tick: .*tick\.json .*starts afresh/);
      expect(remembered()).toMatchObject({ Next: instant("2026-03-01T01:00Z") });
    },
  );

  it("runs on, and says so, when its memory cannot be written", async () => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "a file where the folder should be");
    await start({ schedule: "0 0 * * * *" });
    await passUntilRuns(2);
    expect(calls).toHaveLength(2);
    expect(log[0]).toContain("warning Function.tick: The timer's status could not be stored");
  });

  it.each([{ schedule: "0 0 * * * *", useMonitor: false }, { schedule: "*/30 * * * * *" }, { schedule: "00:00:59" }])(
    "remembers nothing as %o, and tells the function nothing of it",
    async (given) => {
      await start(given);
      await passUntilRuns(1);
      await settled();
      expect(calls[0]?.timer.scheduleStatus).toBeNull();
      expect(readdirSync(folder)).toEqual([]);
      await downUntil("2026-03-09T00:00:00Z");
      await start(given);
      expect(calls).toHaveLength(1);
    },
  );
});

describe("a run by hand", () => {
  it("runs at once, and leaves the schedule as it is", async () => {
    const timers = await start({ schedule: "0 0 * * * *" });
    const before = remembered();
    expect(timers.runByHand("TICK")).toBe(true);
    await until(() => calls.length === 1);
    expect(calls[0]).toMatchObject({ at: START, timer: { isPastDue: false } });
    expect(remembered()).toEqual(before);
    expect(timers.views).toEqual([
      { name: "tick", schedule: "0 0 * * * *", nextMs: Date.parse("2026-03-01T01:00:00Z") },
    ]);
  });

  it("is not for functions that are no timers", async () => {
    const timers = await start({ schedule: "0 0 * * * *" });
    expect([timers.runByHand("hello"), timers.runByHand("nothing")]).toEqual([false, false]);
  });
});

describe("stopping", () => {
  it("waits for the run under way, writes it down, and begins no other", async () => {
    const end = Promise.withResolvers<void>();
    const timers = await start({ schedule: "0 0 * * * *", handler: () => end.promise });
    await passUntilRuns(1);
    let hasStopped = false;
    const stopped = timers.stop().then(() => {
      hasStopped = true;
    });
    await setImmediate();
    expect(hasStopped).toBe(false);
    end.resolve();
    await stopped;
    expect(remembered()).toMatchObject({ Last: instant("2026-03-01T01:00Z") });
    clock.advance(5 * HOUR_MS);
    await setImmediate();
    expect(calls).toHaveLength(1);
    expect(clock.nextMs()).toBeUndefined();
  });

  it("waits for runs by hand too", async () => {
    const end = Promise.withResolvers<void>();
    const timers = await start({ schedule: "0 0 * * * *", handler: () => end.promise });
    timers.runByHand("tick");
    await until(() => calls.length === 1);
    const order: string[] = [];
    const stopped = timers.stop().then(() => order.push("stopped"));
    await setImmediate();
    order.push("run ends");
    end.resolve();
    await stopped;
    expect(order).toEqual(["run ends", "stopped"]);
  });

  it("does not wait longer than it is given for a run that never ends", async () => {
    const timers = await start({ schedule: "0 0 * * * *", handler: () => new Promise(() => {}) });
    await passUntilRuns(1);
    await timers.stop(1);
    expect(calls).toHaveLength(1);
    running = undefined;
  });
});

describe("createTimers", () => {
  it("replaces %SETTING% in schedules", async () => {
    const timers = await start({ schedule: "%HOURLY%" });
    expect(timers.views[0]).toMatchObject({ schedule: "0 0 * * * *" });
  });

  it.each([
    ["at noon", "'at noon' is neither an NCRONTAB expression nor a time span"],
    ["0 61 * * * *", "'61' is no valid minute in the schedule '0 61 * * * *'"],
    ["%MISSING%", "'%MISSING%' is not set"],
  ])("refuses the schedule '%s' with the reason, and goes on without the timer", async (schedule, reason) => {
    running = create({ schedule });
    await running.start();
    expect(running.refused).toEqual([{ name: "tick", reason: expect.stringContaining(reason) }]);
    expect(log).toEqual([`error Function.tick: The timer does not run: ${running.refused[0]?.reason}`]);
    expect([running.views, running.runByHand("tick")]).toEqual([[], false]);
  });

  it("falls back to the machine's time zone, and says so, when it does not know the one that is set", () => {
    running = create({ schedule: "0 0 * * * *", zoneName: "W. Europe Standard Time" });
    expect(log[0]).toMatch(/^warning Host: WEBSITE_TIME_ZONE is 'W\. Europe Standard Time'.* machine's time zone\.$/);
    expect(running.views).toHaveLength(1);
  });
});
