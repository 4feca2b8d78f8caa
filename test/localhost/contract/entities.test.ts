// Entities: signalled and read by clients, signalled, called and locked by orchestrations.

import { EntityId } from "durable-functions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

const counter = (key: string): EntityId => new EntityId("counter", key);

async function stateOf(key: string): Promise<unknown> {
  const { entityExists, entityState } = await app.client.readEntityState(counter(key));
  return entityExists ? entityState : "does not exist";
}

describe("an entity", () => {
  it("does not exist before it is signalled, and then keeps what it was told, in order", async () => {
    expect(await stateOf("signalled")).toBe("does not exist");
    for (let n = 1; n <= 20; n++) await app.client.signalEntity(counter("signalled"), "add", n);
    await expect.poll(() => stateOf("signalled")).toBe(210);
  });

  it("is reached by clients without rpcBaseUrl, too", async () => {
    const client = app.clientWithoutRpc();
    await client.signalEntity(counter("by-links"), "add", 7);
    await expect.poll(() => stateOf("by-links")).toBe(7);
    expect((await client.readEntityState(counter("by-links"))).entityState).toBe(7);
  });

  it("answers an orchestration's call after its signal", async () => {
    expect(await app.outputOf("count", "called")).toEqual({ afterCall: 12, read: 12 });
    expect(await stateOf("called")).toBe(12);
  });

  it("signals another entity", async () => {
    await app.client.signalEntity(counter("from"), "add", 3);
    await app.client.signalEntity(counter("from"), "forward", "onwards");
    await expect.poll(() => stateOf("onwards")).toBe(3);
  });

  it("ceases to exist when it destructs itself", async () => {
    await app.client.signalEntity(counter("short"), "add", 1);
    await expect.poll(() => stateOf("short")).toBe(1);
    await app.client.signalEntity(counter("short"), "delete");
    await expect.poll(() => stateOf("short")).toBe("does not exist");
  });

  it("that throws tells its caller, and keeps its state", async () => {
    expect(await app.outputOf("catch-entity-failure", "stuck")).toEqual({ caught: true, still: 1 });
  });

  it("is listed among entities and not among instances", async () => {
    await app.client.signalEntity(counter("listed"), "add", 1);
    await expect.poll(() => stateOf("listed")).toBe(1);
    const entities = (await (await app.api("entities/")).json()) as { entityId: { name: string; key: string } }[];
    expect(entities).toContainEqual({ entityId: { name: "counter", key: "listed" } });
    const instances = await app.client.getStatusAll();
    expect(instances.map(({ instanceId }) => instanceId).filter((id) => id.startsWith("@"))).toEqual([]);
  });

  it("cannot be managed as an instance", async () => {
    await app.client.signalEntity(counter("managed"), "add", 1);
    await expect.poll(() => stateOf("managed")).toBe(1);
    await expect(app.client.getStatus("@counter@managed")).rejects.toThrow("404");
    await expect(app.client.terminate("@counter@managed", "no")).rejects.toThrow("No instance");
    expect(await app.client.purgeInstanceHistory("@counter@managed")).toEqual({ instancesDeleted: 0 });
    expect(await stateOf("managed")).toBe(1);
  });
});

describe("what has no entity function", () => {
  it("cannot be signalled by a client, who hears which entities there are", async () => {
    await expect(app.client.signalEntity(new EntityId("contuer", "x"), "add", 1)).rejects.toThrow(
      /400.*The function 'contuer' doesn't exist.*Entities of this app: counter/s,
    );
  });

  it("fails the orchestration that calls it with the same words", async () => {
    expect(await app.outputOf("call-unknown-entity")).toMatch(/The app has no entity function 'nobody'/);
  });

  it("is warned of when an orchestration signals it, as nobody else would notice", async () => {
    await app.run("signal-unknown-entity");
    const line = await app.host.waitForLog(
      ({ level, message }) => level !== "information" && message?.includes("'ghost'") === true,
    );
    expect(line.message).toContain("no entity function 'ghost'");
  });
});

describe("a critical section", () => {
  it("is entered by one orchestration at a time, whatever the order in which entities are named", async () => {
    await app.client.signalEntity(counter("a"), "add", 10);
    await app.client.signalEntity(counter("b"), "add", 10);
    const there = { from: "a", to: "b" };
    const back = { from: "b", to: "a" };
    const ids = await Promise.all(
      Array.from({ length: 12 }, (_, n) => app.start("transfer", { input: n % 3 === 0 ? back : there })),
    );
    const ended = await Promise.all(ids.map((id) => app.ended(id)));
    for (const { runtimeStatus, output } of ended) {
      expect({ runtimeStatus, output }).toMatchObject({ runtimeStatus: "Completed", output: { isLocked: true } });
    }
    expect(await stateOf("a")).toBe(6);
    expect(await stateOf("b")).toBe(14);
  });

  it("is left by an orchestration that dies or is terminated in it", async () => {
    await app.client.signalEntity(counter("left"), "add", 2);
    expect(await app.failureOf("die-with-lock", "left")).toContain("inside the critical section");
    const stuck = await app.start("hold-lock", { input: "left" });
    await app.until(stuck, ({ customStatus }) => customStatus === "locked");
    const next = await app.start("transfer", { input: { from: "left", to: "right" } });
    await app.client.terminate(stuck, "held it long enough");
    expect((await app.ended(next)).output).toEqual({ before: 2, isLocked: true });
  });

  it("lets signals of others wait", async () => {
    const holder = await app.start("hold-lock", { input: "waited-for" });
    await app.until(holder, ({ customStatus }) => customStatus === "locked");
    await app.client.signalEntity(counter("waited-for"), "add", 5);
    await app.outputOf("own-input", 1);
    expect(await stateOf("waited-for")).toBe("does not exist");
    await app.client.raiseEvent(holder, "release", null);
    await app.ended(holder);
    await expect.poll(() => stateOf("waited-for")).toBe(5);
  });
});
