// A timer of a real app in a real host: what it remembers is found again by the next process.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { startHost } from "../../../support/host-process.ts";

const DAY_MS = 86_400_000;

it("a timer that was due while no host ran is run at the next start, and can be run by hand", async () => {
  const dataFolder = mkdtempSync(join(tmpdir(), "holdfast-timer-process-"));
  const file = join(dataFolder, "timers", "nightly.json");
  const todayMs = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const nightOf = (daysAgo: number): string => new Date(todayMs - (daysAgo - 3 / 24) * DAY_MS).toISOString();
  mkdirSync(join(dataFolder, "timers"));
  writeFileSync(file, JSON.stringify({ Last: nightOf(3), Next: nightOf(2), LastUpdated: nightOf(3) }));
  const app = fileURLToPath(new URL("../../../apps/commonjs", import.meta.url));
  const host = await startHost({ app, dataFolder, env: { TZ: "UTC" } });
  try {
    const pastDue = await host.waitForLog(({ reason }) => reason === "timer is past due");
    expect(pastDue).toMatchObject({ event: "invocation", function: "nightly", outcome: "succeeded" });
    const answer = await fetch(`${host.url}/admin/functions/nightly`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(answer.status).toBe(202);
    await host.waitForLog(({ reason, outcome }) => reason === "run by hand" && outcome === "succeeded");
    expect(await host.stop()).toEqual({ code: 0, signal: null });
    const { Last, Next } = JSON.parse(readFileSync(file, "utf8")) as { Last: string; Next: string };
    expect(Date.parse(Last)).toBeGreaterThan(todayMs);
    expect(Date.parse(Next)).toBeGreaterThan(Date.parse(Last));
    expect(Next).toMatch(/T03:00:00/);
  } finally {
    await host.kill();
    rmSync(dataFolder, { recursive: true, force: true });
  }
});
