// Durable timers and external events, by the real clock.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

const A_LONG_TIME_MS = 40 * 86_400_000;

describe("a durable timer", () => {
  it("fires at its time and not before", async () => {
    const sleptMs = (await app.outputOf("sleep", 250)) as number;
    expect(sleptMs).toBeGreaterThanOrEqual(250);
    expect(sleptMs).toBeLessThan(5_000);
  });

  it("fires at once when its time has passed already", async () => {
    expect(await app.outputOf("sleep", -5_000)).toBeLessThan(5_000);
  });

  it("of forty days, more than setTimeout can wait, does not fire early", async () => {
    const id = await app.start("sleep", { input: A_LONG_TIME_MS });
    await app.reaches(id, "Running");
    await app.outputOf("sleep", 100);
    expect((await app.status(id)).runtimeStatus).toBe("Running");
  });

  it("wins against an event that does not come", async () => {
    expect(await app.outputOf("race", { ms: 50, cancels: true })).toBe("timed out");
  });

  it("loses against an event, and once cancelled does not hold the end up", async () => {
    const id = await app.start("race", { input: { ms: A_LONG_TIME_MS, cancels: true } });
    await app.client.raiseEvent(id, "go", "came");
    expect((await app.ended(id)).output).toBe("event came");
    expect(app.host.lines.filter(({ message }) => message?.includes(`'${id}' has returned`))).toEqual([]);
  });

  it("that nobody cancelled keeps the instance running after its function has returned, and the log says so", async () => {
    const startedMs = performance.now();
    const id = await app.start("race", { input: { ms: 600, cancels: false } });
    await app.client.raiseEvent(id, "go", "came");
    await app.until(id, () => performance.now() - startedMs > 300);
    expect((await app.status(id)).runtimeStatus).toBe("Running");
    const { output } = await app.ended(id);
    expect(output).toBe("event came");
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(600);
    const { level, message } = await app.host.waitForLog(
      ({ message }) => message?.includes(`'${id}' has returned`) === true,
    );
    expect([level, message]).toEqual(["warning", expect.stringContaining("Call cancel() on timers")]);
  });
});

describe("an external event", () => {
  it("that comes before it is waited for is kept, in order", async () => {
    const id = await app.start("listen-later", { input: { ms: 150, words: 4 } });
    for (const word of ["a", { b: [1] }, null, 4]) await app.client.raiseEvent(id, "word", word);
    expect((await app.ended(id)).output).toEqual(["a", { b: [1] }, null, 4]);
  });

  it("goes to the last of two waiters first", async () => {
    const id = await app.start("two-waiters");
    await app.client.raiseEvent(id, "word", "first event");
    await app.client.raiseEvent(id, "word", "second event");
    expect((await app.ended(id)).output).toEqual({ toFirst: "second event", toSecond: "first event" });
  });

  it("is not heard under a name that differs in case", async () => {
    const id = await app.start("listen", { input: 1 });
    await app.client.raiseEvent(id, "Word", "wrong");
    await app.client.raiseEvent(id, "word", "right");
    expect((await app.ended(id)).output).toEqual(["right"]);
  });

  it("with a name of any characters finds its way", async () => {
    const id = await app.start("listen", { input: 1 });
    const odd = encodeURIComponent("ünï/cödé 🦊 ?&#%");
    const response = await app.api(`instances/${id}/raiseEvent/${odd}`, {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8" },
      body: "1",
    });
    expect(response.status).toBe(202);
    await app.client.raiseEvent(id, "word", "done");
    await app.ended(id);
    expect((await app.history(id)).map(({ Name }) => Name)).toContain("ünï/cödé 🦊 ?&#%");
  });

  it("is refused when its name is a whole number, which would complete a task of that number", async () => {
    const id = await app.start("sleep", { input: A_LONG_TIME_MS });
    await expect(app.client.raiseEvent(id, "0", "boo")).rejects.toThrow(/400.*is a whole number.*Choose another name/s);
    expect((await app.status(id)).runtimeStatus).not.toBe("Completed");
  });

  it("is refused when it has no body, and told that null would do", async () => {
    const id = await app.start("listen", { input: 1 });
    await expect(app.client.raiseEvent(id, "word", undefined)).rejects.toThrow(/400.*null is fine/s);
  });

  it("is refused when it is not sent as JSON", async () => {
    const id = await app.start("listen", { input: 1 });
    const path = `instances/${id}/raiseEvent/word`;
    const asText = await app.api(path, { method: "POST", headers: { "content-type": "text/plain" }, body: "1" });
    expect([asText.status, await asText.text()]).toEqual([400, expect.stringContaining("application/json")]);
    const broken = await app.api(path, { method: "POST", headers: { "content-type": "application/json" }, body: "{" });
    expect([broken.status, await broken.text()]).toEqual([400, expect.stringContaining("not valid JSON")]);
  });

  it("comes too late for an ended instance without an error, and fails for an unknown one", async () => {
    const id = await app.start("listen", { input: 1 });
    await app.client.raiseEvent(id, "word", "in time");
    await app.ended(id);
    await app.client.raiseEvent(id, "word", "late");
    expect((await app.status(id)).output).toEqual(["in time"]);
    await expect(app.client.raiseEvent("nobody", "word", 1)).rejects.toThrow("No instance with ID 'nobody' found");
  });
});
