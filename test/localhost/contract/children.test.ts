// Sub-orchestrations.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

interface ChildOutput {
  readonly doubled: number;
  readonly id: string;
  readonly parent: string;
}

describe("a sub-orchestration", () => {
  it("without a chosen id is named by its parent's execution and its step, and knows its parent", async () => {
    const parent = await app.run("parent-of-generated");
    const child = parent.output as ChildOutput;
    expect(child).toMatchObject({ doubled: 42, parent: parent.instanceId });
    expect(child.id).toMatch(/^[0-9a-f]{32}:0$/);
    expect((await app.client.getStatus(child.id)).runtimeStatus).toBe("Completed");
  });

  it("runs under the id that its parent chose", async () => {
    const parent = await app.run("parent-of-named", "my-own-child");
    expect(parent.output).toMatchObject({ doubled: 42, id: "my-own-child" });
    expect(await app.status("my-own-child")).toMatchObject({ name: "child", input: 21, runtimeStatus: "Completed" });
  });

  it("that fails is an error its parent can catch, with the reason", async () => {
    const message = await app.outputOf("parent-of-failing");
    expect(message).toContain("Orchestrator function 'failing-child' failed:");
    expect(message).toContain("child trouble");
  });

  it("that fails takes a parent with it that does not catch", async () => {
    const message = await app.failureOf("parent-that-fails-with-child");
    expect(message).toMatch(/^Orchestrator function 'parent-that-fails-with-child' failed:.*child trouble/s);
  });

  it("runs beside two others, and the answers keep their order", async () => {
    expect(await app.outputOf("parent-of-three")).toEqual([2, 4, 6]);
  });

  it("may have children itself", async () => {
    expect(await app.outputOf("grandparent")).toBe(42);
  });

  it("can be reached by its id while its parent waits", async () => {
    const parent = await app.start("parent-of-waiting", { input: "reachable" });
    await app.reaches("reachable", "Running");
    await app.client.raiseEvent("reachable", "word", "found you");
    expect((await app.ended(parent)).output).toEqual({ answer: ["found you"] });
  });

  it("that is terminated is a failure for its parent, with the reason", async () => {
    const parent = await app.start("parent-of-waiting", { input: "short-lived" });
    await app.reaches("short-lived", "Running");
    await app.client.terminate("short-lived", "bedtime");
    const { error } = (await app.ended(parent)).output as { error: string };
    expect(error).toContain("bedtime");
  });

  it("goes on when its parent is terminated", async () => {
    const parent = await app.start("parent-of-waiting", { input: "orphan" });
    await app.reaches("orphan", "Running");
    await app.client.terminate(parent, "not needed");
    await app.ended(parent);
    expect((await app.status("orphan")).runtimeStatus).toBe("Running");
    await app.client.raiseEvent("orphan", "word", "still here");
    expect((await app.ended("orphan")).output).toEqual(["still here"]);
  });

  it("is refused under the id of an instance that runs, which is left alone", async () => {
    await app.start("listen", { input: 1, id: "taken" });
    await app.reaches("taken", "Running");
    const { error } = (await app.run("parent-of-waiting", "taken")).output as { error: string };
    expect(error).toContain("already exists");
    await app.client.raiseEvent("taken", "word", "mine");
    expect((await app.ended("taken")).output).toEqual(["mine"]);
  });

  it("that continues as new answers its parent with its last generation", async () => {
    expect(await app.outputOf("parent-of-generations")).toBe("grown up");
  });
});
