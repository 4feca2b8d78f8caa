// Starting orchestrations over HTTP, calling activities, and what values look like at the other end.

import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

const LINK_NAMES = [
  "id",
  "purgeHistoryDeleteUri",
  "restartPostUri",
  "resumePostUri",
  "rewindPostUri",
  "sendEventPostUri",
  "statusQueryGetUri",
  "suspendPostUri",
  "terminatePostUri",
];

describe("an HTTP starter", () => {
  it("answers 202 with links, and the status link tells first of the running and then of the ended instance", async () => {
    const response = await app.post("/api/start/listen", 1);
    expect(response.status).toBe(202);
    expect(response.headers.get("retry-after")).toBe("10");
    const links = (await response.json()) as Record<string, string>;
    expect(Object.keys(links).toSorted()).toEqual(LINK_NAMES);
    expect(response.headers.get("location")).toBe(links.statusQueryGetUri);

    const running = await fetch(links.statusQueryGetUri ?? "");
    expect(running.status).toBe(202);
    expect(running.headers.get("retry-after")).toBe("5");
    expect((await fetch(running.headers.get("location") ?? "")).status).toBe(202);

    await app.client.raiseEvent(links.id ?? "", "word", "hi");
    await app.ended(links.id ?? "");
    const ended = await fetch(links.statusQueryGetUri ?? "");
    expect(ended.status).toBe(200);
    expect(await ended.json()).toMatchObject({ name: "listen", runtimeStatus: "Completed", output: ["hi"] });
  });

  it("makes links for the name under which the caller reached the host", async () => {
    const response = await fetch(`http://localhost:${app.host.port}/api/start/chain`, { method: "POST" });
    const { statusQueryGetUri } = (await response.json()) as Record<string, string>;
    expect(new URL(statusQueryGetUri ?? "").host).toBe(`localhost:${app.host.port}`);
  });

  it("works through the shorthand that hands over the client", async () => {
    const response = await app.post("/api/start-short/double-again", { start: 1, times: 2 });
    const { id } = (await response.json()) as { id: string };
    expect((await app.ended(id)).output).toBe(4);
  });

  it("waits for a quick orchestration and answers with its output, and gives links for a slow one", async () => {
    const quick = await app.post("/api/start-and-wait/double-again", { start: 1, times: 3 });
    expect([quick.status, await quick.json()]).toEqual([200, 8]);
    const failed = await app.post("/api/start-and-wait/do-not-catch", "no luck today");
    expect(failed.status).toBe(500);
    expect(((await failed.json()) as { output: string }).output).toContain("no luck today");
    const slow = await app.post("/api/start-and-wait/wait-for-ever?timeout=50");
    expect(slow.status).toBe(202);
    expect(Object.keys((await slow.json()) as object).toSorted()).toEqual(LINK_NAMES);
  });

  it("hears which orchestrators there are when it asks for one that is not", async () => {
    const response = await app.post("/api/start/chian");
    expect(response.status).toBe(400);
    const text = await response.text();
    expect(text).toContain("The function 'chian' doesn't exist");
    expect(text).toMatch(/Orchestrators of this app:.* chain,/);
  });

  it("finds an orchestrator whatever the case of its name", async () => {
    expect(await app.outputOf("CHAIN")).toEqual(["Hello Tokyo!", "Hello Seattle!", "Hello London!"]);
  });

  it("hands its version to the orchestrator", async () => {
    const response = await app.post("/api/start/own-version?version=2.1", null);
    const { id } = (await response.json()) as { id: string };
    expect((await app.ended(id)).output).toBe("2.1");
  });
});

describe("activities", () => {
  it("pass results on in a chain", async () => {
    expect(await app.outputOf("chain")).toEqual(["Hello Tokyo!", "Hello Seattle!", "Hello London!"]);
    expect(await app.outputOf("double-again", { start: 3, times: 20 })).toBe(3 * 2 ** 20);
  });

  it("come back from a fan-out of 75 in the order of the calls", async () => {
    expect(await app.outputOf("fan-out", 75)).toEqual(Array.from({ length: 75 }, (_, n) => n * 2));
  });

  it("can be called by their registration", async () => {
    expect(await app.outputOf("call-registered")).toBe("registered works");
  });
});

const TRICKY_VALUES = [
  "plain",
  "",
  "123",
  "true",
  "null",
  '{"x":1}',
  '"quoted"',
  "back\\slash and \n new line",
  "\u2028 ünïcödé 🦊",
  0,
  -1.5,
  1e21,
  Number.MAX_SAFE_INTEGER,
  true,
  false,
  [],
  {},
  [[1, "1"], { a: { b: [null, "x"] } }],
  { "": 0, "a.b": "$&", $ref: "{INSTANCEID}" },
];

describe("values", () => {
  it("arrive as they were sent: at orchestrators, at activities, at children, and back", async () => {
    const output = await app.outputOf("echo-all", TRICKY_VALUES);
    expect(output).toEqual({ input: TRICKY_VALUES, activities: TRICKY_VALUES, children: TRICKY_VALUES });
  });

  it("arrive as they were sent, whatever JSON they are", async () => {
    // The library turns every text called Timestamp into a date.
    const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes("Timestamp"));
    const batches = fc.array(json, { minLength: 40, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(batches, async (raw) => {
        const values: unknown = JSON.parse(JSON.stringify(raw));
        expect(await app.outputOf("echo-all", values)).toEqual({
          input: values,
          activities: values,
          children: values,
        });
      }),
      { numRuns: 4 },
    );
  });

  it("keep their type on the way to an activity", async () => {
    const types = (await app.outputOf("describe-all", ["5", 5, true, "true", { a: 1 }, [1]])) as { type: string }[];
    expect(types.map(({ type }) => type)).toEqual(["string", "number", "boolean", "string", "object", "object"]);
  });

  it("that are not there reach an activity as undefined", async () => {
    const nothing = { type: "undefined", isNull: false };
    expect(await app.outputOf("describe-nothing")).toEqual([nothing, nothing, nothing]);
  });

  it("are an empty text when the client starts without an input", async () => {
    expect(await app.outputOf("describe-input")).toEqual({ type: "string", input: "" });
  });

  it.each(["text", "5", 5, false, { a: [1] }])("reach the orchestrator as its input: %j", async (input) => {
    expect(await app.outputOf("describe-input", input)).toEqual({ type: typeof input, input });
    expect((await app.run("own-input", input)).input).toEqual(input);
  });

  it("are null when an activity or an orchestrator returns nothing", async () => {
    expect(await app.outputOf("answer-nothing")).toEqual({ isNull: true });
    expect(await app.run("return-nothing")).toMatchObject({ runtimeStatus: "Completed", output: null });
  });

  it("fail a call when an activity returns what JSON cannot hold", async () => {
    expect(await app.outputOf("catch-circle")).toContain("Activity function 'answer-circle' failed:");
  });
});
