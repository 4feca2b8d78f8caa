// The host is stopped in order, and started again on the same data, in the middle of everything that can be under way.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EntityId } from "durable-functions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

const dataFolder = mkdtempSync(join(tmpdir(), "holdfast-restart-"));

let app: ContractApp;
let finished: unknown;
beforeAll(async () => {
  app = await startContractApp({ dataFolder });
  await leaveEverythingUnderWay();
  await app.host.stop();
  app = await startContractApp({ dataFolder });
});
afterAll(async () => {
  await app.host.stop();
  rmSync(dataFolder, { recursive: true });
});

async function leaveEverythingUnderWay(): Promise<void> {
  const start = (name: string, id: string, input?: unknown): Promise<string> => app.start(name, { id, input });
  await start("chain", "finished");
  await app.ended("finished");
  finished = await app.status("finished", "?showHistory=true&showHistoryOutput=true");
  await start("tell-progress", "progress");
  await start("sleep", "sleeper", 1_500);
  await start("parent-of-waiting", "parent", "child-of-parent");
  await start("listen", "suspended", 2);
  await app.client.raiseEvent("suspended", "word", "before");
  await app.client.suspend("suspended", "over night");
  await app.client.raiseEvent("suspended", "word", "while suspended");
  await start("hold-lock", "holder", "locked");
  await app.until("holder", ({ customStatus }) => customStatus === "locked");
  await start("transfer", "waits-for-lock", { from: "locked", to: "elsewhere" });
  await app.client.signalEntity(new EntityId("counter", "kept"), "add", 5);
  await app.outputOf("count", "kept");
  await start("hear-one-at-a-time", "generations", { words: 3, heard: [] });
  await app.client.raiseEvent("generations", "word", 1);
  await app.reaches("child-of-parent", "Running");
  await app.reaches("suspended", "Suspended");
  await app.until("progress", ({ customStatus }) => customStatus !== null);
}

describe("after a stop and a start", () => {
  it("what had ended is as it was, its history included", async () => {
    expect(await app.status("finished", "?showHistory=true&showHistoryOutput=true")).toEqual(finished);
  });

  it("the custom status is there, and events are heard", async () => {
    expect((await app.status("progress")).customStatus).toEqual({ step: "started" });
    await app.client.raiseEvent("progress", "word", "on");
    await app.client.raiseEvent("progress", "word", "and on");
    expect(await app.ended("progress")).toMatchObject({ output: "done", customStatus: "heard on" });
  });

  it("a timer still fires, at its time", async () => {
    expect((await app.ended("sleeper")).output).toBeGreaterThanOrEqual(1_500);
  });

  it("a parent hears its child", async () => {
    await app.client.raiseEvent("child-of-parent", "word", "hello");
    expect((await app.ended("parent")).output).toEqual({ answer: ["hello"] });
  });

  it("what was suspended still is, and has kept what came", async () => {
    expect((await app.status("suspended")).runtimeStatus).toBe("Suspended");
    await app.client.resume("suspended", "good morning");
    expect((await app.ended("suspended")).output).toEqual(["before", "while suspended"]);
  });

  it("a lock is still held, and handed on when it is released", async () => {
    expect((await app.status("waits-for-lock")).runtimeStatus).toBe("Running");
    await app.client.raiseEvent("holder", "release", null);
    await app.ended("holder");
    expect((await app.ended("waits-for-lock")).output).toEqual({ before: 0, isLocked: true });
  });

  it("an entity has its state", async () => {
    expect((await app.client.readEntityState(new EntityId("counter", "kept"))).entityState).toBe(17);
  });

  it("a generation goes on with what the one before had heard", async () => {
    for (const word of [2, 3]) await app.client.raiseEvent("generations", "word", word);
    expect((await app.ended("generations")).output).toEqual([1, 2, 3]);
  });

  it("nothing was repaired, as nothing was broken", async () => {
    expect(app.host.lines.filter(({ message }) => message?.startsWith("Cut "))).toEqual([]);
  });
});
