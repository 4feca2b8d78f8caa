import type { OrchestrationContext } from "durable-functions";
import { afterEach, describe, expect, it } from "vitest";
import type { TestApp } from "../../support/library-functions.ts";
import { openVirtualHub, type VirtualHub } from "../../support/virtual-hub.ts";

let hub: VirtualHub;
afterEach(() => hub.close());

const DAY_MS = 86_400_000;
const app: TestApp = {
  orchestrations: {
    *listens(context: OrchestrationContext) {
      return yield context.df.waitForExternalEvent("word");
    },
  },
};

async function endOne(): Promise<string> {
  const id = await hub.start("listens");
  await hub.hub.client.send(id, { kind: "event", name: "word", input: "1" });
  await hub.end(id);
  return id;
}

describe("purging by age", () => {
  it("forgets what ended long ago, counted from its end, and keeps what still runs", async () => {
    hub = await openVirtualHub(app, { keepFinishedDays: 7 });
    const early = await endOne();
    const running = await hub.start("listens");
    const slow = await hub.start("listens");
    hub.clock.advance(5 * DAY_MS);
    await hub.hub.client.send(slow, { kind: "event", name: "word", input: "1" });
    await hub.end(slow);
    const late = await endOne();
    hub.clock.advance(3 * DAY_MS);
    await hub.settle();
    expect(await hub.hub.client.find(early)).toBeUndefined();
    expect((await hub.hub.client.find(late))?.status).toBe("Completed");
    expect((await hub.hub.client.find(slow))?.status).toBe("Completed");
    expect((await hub.hub.client.find(running))?.status).toBe("Running");
  });

  it("keeps everything for ever when told so", async () => {
    hub = await openVirtualHub(app, { keepFinishedDays: 0 });
    const id = await endOne();
    hub.clock.advance(400 * DAY_MS);
    await hub.settle();
    expect((await hub.hub.client.find(id))?.status).toBe("Completed");
  });
});
