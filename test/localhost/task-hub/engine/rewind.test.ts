// Rewinding: what had succeeded is kept, everything else is asked for again, and what cannot be put right is refused.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { OrchestrationContext } from "durable-functions";
import * as df from "durable-functions";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TestApp } from "../../../support/library-functions.ts";
import { openVirtualHub, type VirtualHub } from "../../../support/virtual-hub.ts";

let hub: VirtualHub;
let isBroken: boolean;
let gate: PromiseWithResolvers<void>;
beforeEach(() => {
  isBroken = true;
  gate = Promise.withResolvers();
});
afterEach(() => {
  gate.resolve();
  return hub.close();
});

const counter = new df.EntityId("counter", "one");
const tooLarge = "x".repeat(9000);

const app: TestApp = {
  activities: {
    echo: (value: unknown) => value,
    sometimes: () => {
      if (isBroken) throw new Error("broken");
      return "mended";
    },
    slow: async () => {
      if (isBroken) await gate.promise;
      return "slow";
    },
  },
  entities: {
    counter: async ({ df: entity }) => {
      const count = ((entity.getState(() => 0) as number) ?? 0) + 1;
      if (isBroken && entity.operationName === "count") await gate.promise;
      entity.setState(count);
      entity.return(count);
    },
  },
  orchestrations: {
    *copes(context: OrchestrationContext) {
      try {
        yield context.df.callActivity("sometimes");
      } catch {
        yield context.df.callActivity("echo", "plan B");
      }
      return yield context.df.callActivity("sometimes");
    },
    *polls(context: OrchestrationContext) {
      yield context.df.callHttp({ method: "GET", url: context.df.getInput() as string });
      yield context.df.callActivity("sometimes");
    },
    *locks(context: OrchestrationContext) {
      yield context.df.lock(counter);
      yield context.df.callActivity("sometimes");
    },
    *unlocks(context: OrchestrationContext) {
      const lock: df.DurableLock = yield context.df.lock(counter);
      lock.release();
      return yield context.df.callActivity("sometimes");
    },
    *breaksRule(context: OrchestrationContext) {
      const slow = context.df.callActivity("slow");
      const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 60_000));
      const child = context.df.callSubOrchestrator("child");
      yield context.df.Task.any([context.df.callActivity("echo", 1), slow, timer, child]);
      if (isBroken) context.df.setCustomStatus(tooLarge);
      yield timer;
      const fromChild: string = yield child;
      return [yield slow, fromChild];
    },
    *child(context: OrchestrationContext) {
      return yield context.df.waitForExternalEvent("go");
    },
    *counts(context: OrchestrationContext) {
      return yield context.df.Task.all([context.df.callEntity(counter, "count"), context.df.callActivity("sometimes")]);
    },
    *adopts(context: OrchestrationContext) {
      return yield context.df.callSubOrchestrator("copes", undefined, "kid");
    },
    *fails(context: OrchestrationContext) {
      return yield context.df.callActivity("sometimes");
    },
    *raises(context: OrchestrationContext) {
      return yield context.df.callSubOrchestrator("fails", undefined, "kid");
    },
  },
};

async function failed(name: string, input?: unknown): Promise<string> {
  hub = await openVirtualHub(app);
  const id = await hub.start(name, input);
  expect((await hub.end(id)).status).toBe("Failed");
  return id;
}

async function result(id: string): Promise<unknown> {
  const { status, output } = await hub.end(id);
  return status === "Completed" ? JSON.parse(output ?? "null") : `${status}: ${output}`;
}

describe("a rewind", () => {
  it("asks again for everything that was open when the instance broke a rule", async () => {
    const id = await failed("breaksRule");
    isBroken = false;
    await hub.hub.client.rewind(id, "mended");
    await hub.settle();
    const { instances } = await hub.hub.client.list({}, 10, undefined);
    const [child, ...others] = instances.filter(({ name }) => name === "child");
    expect(others).toEqual([]);
    await hub.hub.client.send(child?.id ?? "", { kind: "event", name: "go", input: '"gone"' });
    expect(await result(id)).toEqual(["slow", "gone"]);
  });

  it("asks an entity again whose answer came after the end", async () => {
    const id = await failed("counts");
    gate.resolve();
    await hub.settle();
    isBroken = false;
    await hub.hub.client.rewind(id, "mended");
    expect(await result(id)).toEqual([2, "mended"]);
  });

  it("leaves alone an instance that has only taken the name of a failed child", async () => {
    const id = await failed("raises");
    await hub.start("fails", undefined, "kid");
    while ((await hub.hub.client.find("kid"))?.status !== "Failed") {
      await new Promise((resolve) => setImmediate(resolve));
    }
    isBroken = false;
    await hub.hub.client.rewind(id, "mended");
    expect(await result(id)).toBe("mended");
  });

  it("goes on after a critical section that was left before the failure", async () => {
    const id = await failed("unlocks");
    isBroken = false;
    await hub.hub.client.rewind(id, "mended");
    expect(await result(id)).toBe("mended");
  });
});

describe("a rewind is refused", () => {
  it("when the code went on after a failed step: later steps would get results of others", async () => {
    const id = await failed("copes");
    await expect(hub.hub.client.rewind(id, "")).rejects.toThrow("went on after a step had failed");
  });

  it("when that is so of a failed child", async () => {
    const id = await failed("adopts");
    await expect(hub.hub.client.rewind(id, "")).rejects.toThrow("went on after a step had failed");
  });

  it("when an HTTP call was polled, which takes ids", async () => {
    const server = createServer((request, response) => {
      if (request.url === "/done") response.end();
      else response.writeHead(202, { location: "/done", "retry-after": "1" }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const id = await failed("polls", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      await expect(hub.hub.client.rewind(id, "")).rejects.toThrow("was retried or polled");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("when it failed inside a critical section, which it has left", async () => {
    const id = await failed("locks");
    await expect(hub.hub.client.rewind(id, "")).rejects.toThrow("held entity locks");
  });
});
