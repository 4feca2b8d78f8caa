// biome-ignore-all lint/correctness/useYield: some orchestrations here only return

// Values that do not fit into one record of the journal: refused or turned into a failure, at once and with a reason,
// and nothing remains of them that a restart would not know.

import type { OrchestrationContext } from "durable-functions";
import * as df from "durable-functions";
import { afterEach, describe, expect, it } from "vitest";
import type { TestApp } from "../../support/library-functions.ts";
import { openVirtualHub, type VirtualHub } from "../../support/virtual-hub.ts";

let hub: VirtualHub;
afterEach(() => hub.close());

/** Longer than the longest record. */
const huge = (): string => "x".repeat(129 * 1024 * 1024);

const app: TestApp = {
  activities: { huge },
  entities: {
    hoard: (context) => {
      context.df.setState(context.df.operationName === "hoard" ? huge() : "little");
    },
  },
  orchestrations: {
    *modest(context: OrchestrationContext) {
      return context.df.getInput();
    },
    *greedy(context: OrchestrationContext): Generator<df.Task, string, never> {
      try {
        return yield context.df.callActivity("huge");
      } catch (error) {
        return (error as Error).message;
      }
    },
    *hears(context: OrchestrationContext): Generator<df.Task, void, never> {
      yield context.df.waitForExternalEvent("word");
    },
    *boundless() {
      return huge();
    },
    *hoards(context: OrchestrationContext): Generator<df.Task, string, never> {
      const hoard = new df.EntityId("hoard", "x");
      yield context.df.callEntity(hoard, "little");
      try {
        return yield context.df.callEntity(hoard, "hoard");
      } catch (error) {
        return (error as Error).message;
      }
    },
  },
};

async function outputOf(name: string): Promise<string> {
  hub = await openVirtualHub(app);
  const { output } = await hub.end(await hub.start(name));
  return output ?? "";
}

describe("a value that is too large for the journal", () => {
  it("is refused as an input, and its instance does not exist", async () => {
    hub = await openVirtualHub(app);
    await expect(hub.start("modest", huge(), "one")).rejects.toThrow("does not fit in the journal");
    expect(await hub.hub.client.find("one")).toBeUndefined();
    await hub.start("modest", "small", "one");
    expect((await hub.end("one")).output).toBe('"small"');
    await hub.reopen();
    expect((await hub.hub.client.find("one"))?.output).toBe('"small"');
  });

  it("fails the activity that returns it", async () => {
    expect(await outputOf("greedy")).toMatch(/Activity function 'huge' failed:.*too large.*Store large data elsewhere/);
  });

  it("fails the orchestration that returns it", async () => {
    expect(await outputOf("boundless")).toMatch(/^Orchestrator function 'boundless' failed:.*too large/);
  });

  it("fails the operation of the entity whose state it becomes, and the old state stays", async () => {
    expect(await outputOf("hoards")).toContain("too large");
    expect(hub.hub.client.entityState("@hoard@x")).toBe('"little"');
  });
});

describe("an instance that is too large to be restated by a checkpoint", () => {
  it("keeps the journal from being shortened, and nothing is lost", async () => {
    hub = await openVirtualHub(app);
    const id = await hub.start("hears");
    await hub.settle();
    await hub.hub.client.send(id, { kind: "suspend", reason: "" });
    const input = JSON.stringify("x".repeat(70 * 1024 * 1024));
    for (let n = 0; n < 2; n++) await hub.hub.client.send(id, { kind: "event", name: "word", input });
    await expect(hub.hub.checkpoint()).rejects.toThrow("does not fit in the journal");
    expect(hub.warnings.join()).toContain("cannot be shortened");
    await hub.reopen();
    expect((await hub.hub.client.find(id))?.inbox).toHaveLength(2);
  });
});
