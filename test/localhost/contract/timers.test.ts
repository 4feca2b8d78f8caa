// Timer functions by the real clock: on schedule, by hand, on start-up, past due after a time without a host, retried.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, sampleApp, startContractApp } from "../../support/contract-app.ts";

const DAY_MS = 86_400_000;

interface TimerRun {
  readonly at: number;
  readonly isPastDue: boolean;
  readonly schedule: { readonly adjustForDST: boolean };
  readonly scheduleStatus?: { readonly last: string; readonly next: string; readonly lastUpdated: string };
  readonly retryContext?: { readonly retryCount: number; readonly maxRetryCount: number };
}

const dataFolder = mkdtempSync(join(tmpdir(), "holdfast-timers-"));
const statusFile = join(dataFolder, "timers", "nightly.json");
/** The last time before now when it was three o'clock. */
const lastThreeOClock = Math.floor((Date.now() - 3 * 3_600_000) / DAY_MS) * DAY_MS + 3 * 3_600_000;

const start = (): Promise<ContractApp> =>
  startContractApp({ app: sampleApp("contract-esm"), dataFolder, env: { WEBSITE_TIME_ZONE: "UTC" } });

let app: ContractApp;
beforeAll(async () => {
  // As a host leaves it that ran the timer the night before last, and was not there last night.
  mkdirSync(join(dataFolder, "timers"), { recursive: true });
  const Last = new Date(lastThreeOClock - DAY_MS).toISOString();
  writeFileSync(statusFile, JSON.stringify({ Last, Next: new Date(lastThreeOClock).toISOString(), LastUpdated: Last }));
  app = await start();
});
afterAll(async () => {
  await app.host.stop();
  rmSync(dataFolder, { recursive: true });
});

async function runsOf(name: string, atLeast = 1): Promise<TimerRun[]> {
  const read = async (): Promise<TimerRun[]> =>
    (await (await app.get(`/api/timer-runs?name=${name}`)).json()) as TimerRun[];
  await expect.poll(async () => (await read()).length, { timeout: 10_000 }).toBeGreaterThanOrEqual(atLeast);
  return read();
}

async function runByHand(name: string): Promise<number> {
  return (await app.post(`/admin/functions/${name}`, { input: "" })).status;
}

describe("a timer", () => {
  it("runs on its schedule, not before its second", async () => {
    const [first, second] = await runsOf("each-second", 2);
    expect(first?.isPastDue).toBe(false);
    expect((first?.at ?? 0) % 1000).toBeLessThan(990);
    expect(Math.floor((second?.at ?? 0) / 1000)).toBeGreaterThan(Math.floor((first?.at ?? 0) / 1000));
  });

  it("that was due while there was no host runs once, past due, and then waits for its next time", async () => {
    const [run, ...more] = await runsOf("nightly");
    expect(more).toEqual([]);
    expect(run?.isPastDue).toBe(true);
    expect(Date.parse(run?.scheduleStatus?.last ?? "")).toBe(lastThreeOClock - DAY_MS);
    await expect
      .poll(() => Date.parse((JSON.parse(readFileSync(statusFile, "utf8")) as { Next: string }).Next))
      .toBe(lastThreeOClock + DAY_MS);
  });

  it("is not past due after a restart in between", async () => {
    await runsOf("nightly");
    await app.host.stop();
    app = await start();
    await runsOf("each-second", 1);
    expect(await (await app.get("/api/timer-runs?name=nightly")).json()).toEqual([]);
  });

  it("runs by hand, which leaves its schedule as it is", async () => {
    const before = readFileSync(statusFile, "utf8");
    expect(await runByHand("nightly")).toBe(202);
    const [run] = await runsOf("nightly");
    expect(run).toMatchObject({ isPastDue: false, schedule: { adjustForDST: true } });
    expect(readFileSync(statusFile, "utf8")).toBe(before);
  });

  it("runs on start-up when it says so", async () => {
    expect((await runsOf("on-startup")).length).toBe(1);
  });

  it("is retried by its policy until it succeeds, and knows which retry it is", async () => {
    expect(await runByHand("fails-first")).toBe(202);
    const runs = await runsOf("fails-first", 3);
    expect(runs.map(({ retryContext }) => retryContext?.retryCount)).toEqual([0, 1, 2]);
    expect(runs[0]?.retryContext?.maxRetryCount).toBe(3);
    await app.host.waitForLog(
      ({ event, function: name, outcome }) =>
        event === "invocation" && name === "fails-first" && outcome === "succeeded",
    );
  });

  it("may have a durable client and start an orchestration", async () => {
    expect(await runByHand("starts-work")).toBe(202);
    await expect.poll(async () => (await app.status("started-by-timer")).runtimeStatus).toBe("Completed");
  });
});

describe("a run by hand", () => {
  it("is refused for what does not exist, for HTTP functions and for orchestrations, with a word on what to do", async () => {
    const answers = await Promise.all(
      ["nobody", "setting", "hooked"].map(async (name) => {
        const response = await app.post(`/admin/functions/${name}`, { input: "" });
        return `${response.status} ${await response.text()}`;
      }),
    );
    expect(answers[0]).toMatch(/^404 .*nobody/);
    expect(answers[1]).toMatch(/^400 .*its own address/);
    expect(answers[2]).toMatch(/^400 .*orchestrations/);
  });
});
