// Retries of activities and of sub-orchestrations. The host makes them, the library counts along.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

describe("an activity with retries", () => {
  it("that succeeds at the third attempt is a success", async () => {
    expect(await app.outputOf("retry", { failures: 2, attempts: 5 })).toBe(3);
  });

  it("that never fails is tried once", async () => {
    expect(await app.outputOf("retry", { failures: 0, attempts: 5 })).toBe(1);
  });

  it("that may be tried once is not tried again", async () => {
    const message = await app.failureOf("retry", { failures: 9, attempts: 1 });
    expect(message).toContain("attempt 1 of");
  });

  it("that fails to the last fails with the last error, and later steps go on rightly", async () => {
    const { error, next } = (await app.outputOf("retry-and-catch")) as { error: string; next: number };
    expect(error).toMatch(/^Activity function 'flaky' failed: attempt 3 of /);
    expect(next).toBe(8);
  });

  it("keeps its place in a fan-out in which others need other numbers of attempts", async () => {
    expect(await app.outputOf("retry-fan-out")).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
  });

  it("is retried while the orchestrator makes other calls", async () => {
    expect(await app.outputOf("retry-interleaved")).toEqual({
      quickFirst: true,
      doubled: [0, 2, 4, 6, 8],
      attempts: 5,
    });
  });

  it("waits longer each time, up to the longest interval", async () => {
    // 20 ms, 60 ms, and 180 ms cut to 100 ms.
    const { attempts, ms } = (await app.outputOf("retry-backoff")) as { attempts: number; ms: number };
    expect(attempts).toBe(4);
    expect(ms).toBeGreaterThanOrEqual(180);
    expect(ms).toBeLessThan(5_000);
  });

  it("is given up when the time for retries has passed", async () => {
    const message = (await app.outputOf("retry-until-timeout")) as string;
    const attempts = Number(/attempt (\d+) of/.exec(message)?.[1]);
    expect(attempts).toBeGreaterThanOrEqual(1);
    expect(attempts).toBeLessThanOrEqual(3);
  });

  it("can be made from a registration", async () => {
    expect(await app.outputOf("retry-registered")).toBe("attempt 1");
  });
});

describe("a sub-orchestration with retries", () => {
  it("is started anew until it succeeds", async () => {
    expect(await app.outputOf("retry-child", { failures: 2, attempts: 4 })).toBe(3);
  });

  it("is started anew under the id that was chosen for it", async () => {
    expect(await app.outputOf("retry-child", { failures: 2, attempts: 4, childId: "stubborn-child" })).toBe(3);
    expect((await app.status("stubborn-child")).runtimeStatus).toBe("Completed");
  });

  it("that fails to the last fails its parent with the last error", async () => {
    expect(await app.failureOf("retry-child", { failures: 9, attempts: 2 })).toContain("attempt 2 of");
  });
});
