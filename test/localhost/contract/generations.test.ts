// Orchestrations that continue as new.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

describe("continueAsNew", () => {
  it("carries an object into the next generation, under the same id, with the custom status", async () => {
    const id = await app.start("sum-up", { input: { left: 10, total: 0 }, id: "sum" });
    const ended = await app.ended(id);
    expect(ended).toMatchObject({ runtimeStatus: "Completed", output: 110, customStatus: { left: 1 } });
    expect(ended.input).toEqual({ left: 0, total: 110 });
    // Each generation has a history of its own.
    const types = (await app.history(id)).map(({ EventType }) => EventType);
    expect(types).toEqual(["ExecutionStarted", "ExecutionCompleted"]);
  });

  it("hands a text on as the JSON text of it, as on Azure", async () => {
    expect(await app.outputOf("continue-with-text", "x")).toBe('"x"');
  });

  it("without an input starts the next generation with null", async () => {
    expect(await app.outputOf("continue-without", "first")).toEqual({ input: null });
  });

  it("loses no event that comes while generations change, and keeps their order", async () => {
    const words = Array.from({ length: 12 }, (_, n) => n);
    const id = await app.start("hear-one-at-a-time", { input: { words: words.length, heard: [] } });
    for (const word of words) await app.client.raiseEvent(id, "word", word);
    expect((await app.ended(id)).output).toEqual(words);
  });

  it("takes events along that nobody waited for, and warns that Azure would lose them", async () => {
    const id = await app.start("hear-one-at-a-time", { input: { words: 3, heard: [] }, id: "warned" });
    await app.reaches(id, "Running");
    await app.client.suspend(id, "to collect events");
    await app.reaches(id, "Suspended");
    await app.client.raiseEvent(id, "unexpected", "kept");
    for (const word of [1, 2, 3]) await app.client.raiseEvent(id, "word", word);
    await app.client.resume(id, "collected");
    expect((await app.ended(id)).output).toEqual([1, 2, 3]);
    const { message } = await app.host.waitForLog(({ message }) => message?.includes("'warned' continued") ?? false);
    expect(message).toContain("'unexpected'");
    expect(message).toContain("Azure would lose them");
  });

  it("waits for an open timer, which does not reach the next generation", async () => {
    expect(await app.outputOf("continue-with-open-timer", 1)).toBeGreaterThanOrEqual(400);
  });
});
