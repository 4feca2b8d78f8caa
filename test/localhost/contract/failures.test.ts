// Activities and orchestrators that throw.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

describe("an activity that throws", () => {
  it("is an error the orchestrator can catch, with the activity's name and message, and go on after", async () => {
    const { message, next } = (await app.outputOf("catch-failure")) as { message: string; next: number };
    expect(message).toMatch(/^Activity function 'fail' failed: no luck \n /);
    expect(next).toBe(8);
  });

  it("fails an orchestrator that does not catch", async () => {
    const status = await app.run("do-not-catch", "bad luck");
    expect(status.runtimeStatus).toBe("Failed");
    expect(status.output).toMatch(
      /^Orchestrator function 'do-not-catch' failed: Activity function 'fail' failed: bad luck/,
    );
  });

  it("is told in the host's log, with its stack", async () => {
    await app.run("do-not-catch", "for the log");
    const line = await app.host.waitForLog(
      ({ outcome, message }) => outcome === "failed" && message?.includes("for the log") === true,
    );
    expect(line).toMatchObject({ level: "error", function: "fail" });
    expect(line.message).toMatch(/activities\.cjs:\d+/);
  });

  it("keeps a message of several lines, quotes and braces", async () => {
    const message = 'line one\nline two "quoted" {"json":true} $OutOfProcData$: \u2028';
    expect(await app.failureOf("do-not-catch", message)).toContain(message);
  });

  it("may throw something that is no Error", async () => {
    expect(await app.outputOf("catch-text")).toContain("Activity function 'throw-text' failed: only a text");
  });

  it("fails a fan-out at once, and the siblings' late answers disturb nothing", async () => {
    const { message, next } = (await app.outputOf("catch-in-fan-out")) as { message: string; next: number };
    expect(message).toContain("one of two");
    expect(next).toBe(8);
  });

  it("cannot be called when it does not exist: the failure says which there are", async () => {
    const message = await app.outputOf("catch-unknown-activity");
    expect(message).toMatch(/^Activity function 'duoble' failed: The function 'duoble' doesn't exist/);
    expect(message).toMatch(/Activities of this app:.* double,/);
  });
});

describe("an orchestrator that throws", () => {
  it.each([
    ["throw-at-once", "before anything"],
    ["throw-later", "after an activity"],
  ])("fails its instance with its name and message: %s", async (name, message) => {
    expect(await app.failureOf(name)).toBe(`Orchestrator function '${name}' failed: ${message}`);
  });

  it.each(["throw-without-message", "throw-no-error"])(
    "fails its instance though it gives no message: %s",
    async (name) => {
      expect(await app.failureOf(name)).toMatch(new RegExp(`^Orchestrator function '${name}' failed: it threw `));
    },
  );

  it("has done before what it asked for before", async () => {
    await app.run("signal-and-throw", "before-throw");
    await expect.poll(async () => (await app.api("entities/counter/before-throw")).status).toBe(200);
    expect(await (await app.api("entities/counter/before-throw")).json()).toBe(1);
  });

  it("is answered with 500 on request, and with 200 otherwise", async () => {
    const { instanceId } = await app.run("throw-at-once");
    expect((await app.api(`instances/${instanceId}`)).status).toBe(200);
    const asError = await app.api(`instances/${instanceId}?returnInternalServerErrorOnFailure=true`);
    expect(asError.status).toBe(500);
    expect(await asError.json()).toMatchObject({ runtimeStatus: "Failed" });
  });
});
