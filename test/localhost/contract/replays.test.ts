// What an orchestrator sees when it is replayed, and tasks made of tasks.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

describe("tasks made of tasks", () => {
  it("nest: any in all, all in any", async () => {
    expect(await app.outputOf("nested")).toEqual({ first: [6, 8], second: [2, 4], third: 10 });
    expect(await app.outputOf("any-of-alls")).toEqual({ isWanted: true, result: [2, 4] });
  });

  it("may be yielded again by themselves, and give the same result", async () => {
    expect(await app.outputOf("yield-again")).toEqual({ first: 42, again: 42, slow: "slow" });
  });

  it("that nobody yields never run", async () => {
    expect(await app.outputOf("never-yields")).toBe(1);
  });
});

describe("an orchestrator that is replayed", () => {
  it("gets the same guids and the same times again", async () => {
    const { instanceId, output } = await app.run("same-guids");
    const { seen, times, confirmed } = output as { seen: string[]; times: number[]; confirmed: object };
    expect(confirmed).toEqual({ seen, times });
    expect(new Set(seen).size).toBe(4);
    for (const guid of seen) expect(guid).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const other = (await app.run("same-guids")).output as { seen: string[] };
    expect(other.seen).not.toContain(seen[0]);
    // Each step's input is what the orchestrator had seen by then.
    const steps = (await app.history(instanceId)).filter(({ FunctionName }) => FunctionName === "slow");
    expect(steps.map(({ Result }) => Result)).toEqual([seen.slice(0, 1), seen.slice(0, 2), seen.slice(0, 3)]);
  });

  it("knows at each point whether it is there for the first time", async () => {
    expect(await app.outputOf("trace")).toEqual([
      "start false",
      ...["start true", "one false"],
      ...["start true", "one true", "two false"],
    ]);
  });
});
