// The management API under requests that nobody should send: each gets a clear 4xx with a message, or is a good request
// after all. None is answered with 5xx, none breaks the host, and what runs beside it is not disturbed.

import { Agent, request as httpRequest } from "node:http";
import { EntityId } from "durable-functions";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? "20260303");
const BASE = "/runtime/webhooks/durabletask/";
const JSON_TYPE = { "content-type": "application/json" };

let app: ContractApp;
const agent = new Agent({ keepAlive: true });
beforeAll(async () => {
  app = await startContractApp();
  await app.start("listen", { input: 2, id: "bystander" });
  await app.client.raiseEvent("bystander", "word", "before");
  await app.client.signalEntity(new EntityId("counter", "bystander"), "add", 1);
});
afterAll(async () => {
  agent.destroy();
  await app.host.stop();
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Question {
  readonly method: string;
  /** Behind the base, percent-encoded or not. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Unlike fetch, sends the path as it is. */
function ask({ method, path, headers = {}, body }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = app.host;
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const options = { port, host: "127.0.0.1", agent, method, path: BASE + path, headers: { ...length, ...headers } };
    const request = httpRequest(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** The message of a refusal, wherever the client libraries look for it. */
function messageIn(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "string") return value;
    const { Message } = value as { Message?: unknown };
    return typeof Message === "string" ? Message : undefined;
  } catch {
    return undefined;
  }
}

function expectClear(question: Question, { status, text }: Answer): void {
  const isRefused = status >= 400 && status < 500;
  // Null bytes are refused before anything is read into them.
  const isGood = status === 200 || status === 202 || (status === 400 && question.path.includes("%00"));
  const isClear = isRefused && (messageIn(text)?.length ?? 0) > 10;
  // A head has no body, and a purge of nothing says so in figures.
  const isTerse = isRefused && (question.method === "HEAD" || text === '{"instancesDeleted":0}');
  if (isGood || isClear || isTerse) return;
  throw new Error(`${JSON.stringify(question)} was answered with ${status} ${text}`);
}

async function expectBystandersUnharmed(): Promise<void> {
  expect(await app.status("bystander")).toMatchObject({ runtimeStatus: "Running", input: 2 });
  const { entityState } = await app.client.readEntityState(new EntityId("counter", "bystander"));
  expect(entityState).toBe(1);
}

const LONG = "x".repeat(300);

describe("a bad request", () => {
  const post = (path: string, body?: string | Uint8Array): Question => ({
    method: "POST",
    path,
    headers: JSON_TYPE,
    ...(body !== undefined && { body }),
  });
  const get = (path: string): Question => ({ method: "GET", path });
  const event = (body: string | Uint8Array): Question => post("instances/bystander/raiseEvent/word", body);
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;

  const CASES: readonly (readonly [what: string, Question, status: number, message: RegExp])[] = [
    ["an id that begins like an entity's", post("orchestrators/chain/@x"), 400, /must not start with '@'/],
    ["an id with a slash", post("orchestrators/chain/a%2Fb"), 400, /must not.*contain '\/'/],
    ["an id with a backslash", post("orchestrators/chain/a%5Cb"), 400, /must not.*contain/],
    ["an id with a question mark", post("orchestrators/chain/a%3Fb"), 400, /must not.*contain/],
    ["an id with a control character", post("orchestrators/chain/a%07b"), 400, /control characters/],
    ["an id that is too long", post(`orchestrators/chain/${LONG}`), 400, /1 to 256 characters/],
    ["an id that is no UTF-8", post("orchestrators/chain/%ff"), 400, /percent-encoded/],
    ["an id with a broken percent sign", post("orchestrators/chain/%4"), 400, /percent-encoded/],
    ["an orchestrator that does not exist", post("orchestrators/nobody"), 400, /'nobody' doesn't exist/],
    ["an activity for an orchestrator", post("orchestrators/echo"), 400, /not an orchestrator function/],
    ["an input that is no JSON", post("orchestrators/chain", "{'a':1}"), 400, /not valid JSON/],
    ["an input that is cut short", post("orchestrators/chain", '{"a":'), 400, /not valid JSON/],
    ["an input that is no UTF-8", post("orchestrators/chain", Buffer.from("22ff22", "hex")), 400, /UTF-8/],
    ["an input in UTF-16", post("orchestrators/chain", Buffer.from('"x"', "utf16le")), 400, /not valid JSON/],
    ["an input nested without end", post("orchestrators/own-input", deep), 400, /nested/],
    ["a time to wait that is none", post("orchestrators/chain?timeout=soon"), 400, /'timeout' is a number/],
    ["a negative time to wait", post("orchestrators/chain?timeout=-1"), 400, /'timeout'/],
    ["an unknown instance", get("instances/nobody"), 404, /No instance with ID 'nobody' found/],
    ["an unknown hub", get("instances/bystander?taskHub=OtherHub"), 400, /'OtherHub'.*'ContractHub'/],
    ["a page of no size", get("instances?top=0"), 400, /'top' is a whole number from 1 on/],
    ["a page of half a size", get("instances?top=1.5"), 400, /'top'/],
    ["a time that is none", get("instances?createdTimeFrom=yesterday"), 400, /'createdTimeFrom' is not a time/],
    [
      "a status that is none",
      get("instances?runtimeStatus=Sleeping"),
      400,
      /'Sleeping' is not a runtime status.*Running/,
    ],
    ["a token that is none", { ...get("instances"), headers: { "x-ms-continuation-token": "hello" } }, 400, /token/],
    ["an event without a name", post("instances/bystander/raiseEvent", "1"), 400, /event name is missing/],
    ["an event named like a task", post("instances/bystander/raiseEvent/12", "1"), 400, /Choose another name/],
    ["an event that is no JSON", event("hello"), 400, /not valid JSON/],
    ["an event without a body", event(""), 400, /no body.*null is fine/],
    ["an event nested without end", event(deep), 400, /nested/],
    [
      "an event sent as a form",
      { ...event("a=1"), headers: { "content-type": "text/html" } },
      400,
      /application\/json/,
    ],
    ["an event for nobody", post("instances/nobody/raiseEvent/word", "1"), 404, /No instance/],
    ["an unknown operation", post("instances/bystander/pause"), 404, /no operation 'pause'/],
    ["a resume of what runs", post("instances/bystander/resume"), 409, /is Running, not Suspended/],
    ["a rewind of what runs", post("instances/bystander/rewind"), 412, /only supported on failed/],
    ["a restart of nobody", post("instances/nobody/restart"), 404, /No instance/],
    ["a purge without a time", { method: "DELETE", path: "instances" }, 400, /createdTimeFrom/],
    ["a signal to nobody", post("entities/nobody/x?op=add", "1"), 400, /'nobody' doesn't exist.*/],
    ["a signal to a bad key", post("entities/counter/a%2Fb?op=add", "1"), 400, /Entity keys must not/],
    ["a signal that is no JSON", post("entities/counter/bystander?op=add", "one"), 400, /not valid JSON/],
    ["an entity that does not exist", get("entities/counter/none"), 404, /does not exist/],
    ["a method that does nothing", { method: "PATCH", path: "instances/bystander" }, 404, /no PATCH/],
    ["an address that leads nowhere", get("nowhere/at/all"), 404, /There is no GET/],
    ["an address that goes on", get("instances/bystander/and/then/some"), 404, /There is no GET/],
  ];

  it.each(CASES)("with %s gets a clear answer", async (_, question, status, message) => {
    const answer = await ask(question);
    expect(`${answer.status} ${messageIn(answer.text)}`).toMatch(new RegExp(`^${status} `));
    expect(messageIn(answer.text)).toMatch(message);
  });

  it("leaves what runs beside it alone", expectBystandersUnharmed);
});

const words = fc.constantFrom(
  ...["orchestrators", "instances", "entities", "chain", "own-input", "counter", "nobody", "raiseEvent", "terminate"],
  ...["suspend", "resume", "rewind", "restart", "0", "word", "", "a b", "%00", "%2e", "%2F", "%ff", "@a@b", "*", LONG],
);
const encoded = fc.string({ unit: "binary", maxLength: 12 }).map((text) => encodeURIComponent(text.toWellFormed()));
const segment = fc.oneof(words, encoded).map((text) => text.replaceAll(" ", "%20"));
const path = fc
  .array(segment, { maxLength: 5 })
  .map((segments) => segments.join("/"))
  // Those leave the management API before it sees them.
  .filter((text) => !/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(text) && !text.includes("bystander"));
const queryName = fc.constantFrom(
  ...["top", "createdTimeFrom", "createdTimeTo", "runtimeStatus", "timeout", "pollingInterval", "showHistory"],
  ...["showInput", "reason", "op", "version", "taskHub", "connection", "code", "instanceIdPrefix", "__proto__"],
);
const queryValue = fc.oneof(
  fc.constantFrom("", "0", "-1", "1e999", "NaN", "true", "2026-01-01T00:00:00Z", "+275760-09-13", "Running,", "\u0000"),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const query = fc
  .array(fc.tuple(queryName, queryValue), { maxLength: 3 })
  // Nobody wants to wait for an answer.
  .map((pairs) => pairs.filter(([name, value]) => name !== "timeout" || !(Number(value) > 0)))
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join("&"));
const body = fc.oneof(
  fc.constant(undefined),
  fc.json({ maxDepth: 4 }),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.uint8Array({ maxLength: 60 }),
  fc.constantFrom(
    "null",
    '""',
    "{}",
    '"\\ud800"',
    "1e999",
    '{"a":1,"a":2}',
    '{"__proto__":{"x":1}}',
    "\ufeff1",
    "[".repeat(9000),
  ),
);
const headers = fc.record(
  {
    "content-type": fc.constantFrom(
      "application/json",
      "application/json; charset=utf-16",
      "text/plain",
      "APPLICATION/JSON",
      "x",
    ),
    "x-ms-continuation-token": fc.oneof(
      fc.base64String({ maxLength: 20 }),
      fc.constantFrom("", "MTox", "OTk5OTk5OTk5OTk5OTk5OTk5OTphYmM"),
    ),
    "content-encoding": fc.constantFrom("gzip", "identity"),
    accept: fc.constantFrom("text/html", "*/*"),
  },
  { requiredKeys: [] },
);
const method = fc.constantFrom("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "PURGE");

describe("any request", () => {
  it("is either good or refused with a clear 4xx", async () => {
    await fc.assert(
      fc.asyncProperty(method, path, query, headers, body, async (method, path, query, headers, body) => {
        const question = { method, path: `${path}?${query}`, headers, ...(body !== undefined && { body }) };
        expectClear(question, await ask(question));
      }),
      { numRuns: 2500, seed: SEED },
    );
    await expectBystandersUnharmed();
  });

  it("of a good form with any id, name and value does what it says or is refused with a clear 4xx", async () => {
    const name = fc.oneof(
      fc.string({ unit: "binary", minLength: 1, maxLength: 30 }).map((text) => text.toWellFormed()),
      fc.constantFrom("__proto__", "constructor", "toString", "false", "undefined", "-1", "1e1", "00", "Word"),
    );
    await fc.assert(
      fc.asyncProperty(name, name, fc.json(), async (id, event, value) => {
        fc.pre(![".", ".."].includes(id) && ![".", "..", "word"].includes(event));
        const [safeId, safeEvent] = [encodeURIComponent(id), encodeURIComponent(event)];
        const start: Question = {
          method: "POST",
          path: `orchestrators/own-input/${safeId}`,
          headers: JSON_TYPE,
          body: value,
        };
        const started = await ask(start);
        expectClear(start, started);
        if (started.status !== 202) return;
        expect(await app.ended(id)).toMatchObject({ instanceId: id, runtimeStatus: "Completed" });
        // Nobody waits for events of these names: they are kept, and disturb nothing.
        const path = `instances/bystander/raiseEvent/${safeEvent}`;
        const raise: Question = { method: "POST", path, headers: JSON_TYPE, body: value };
        expectClear(raise, await ask(raise));
        const purged = await ask({ method: "DELETE", path: `instances/${safeId}` });
        expect(purged).toEqual({ status: 200, text: '{"instancesDeleted":1}' });
      }),
      { numRuns: 150, seed: SEED },
    );
    await expectBystandersUnharmed();
  });
});

describe("large inputs", () => {
  it("of some megabytes are taken and given back", async () => {
    const text = "x".repeat(3 * 1024 * 1024);
    const { output } = await app.run("own-input", text);
    expect(output).toBe(text);
  });

  it("beyond what the host takes are refused with 413, and the connection serves on", async () => {
    const question: Question = { method: "POST", path: "orchestrators/own-input", headers: JSON_TYPE };
    const headers = { ...JSON_TYPE, "content-length": String(200 * 1024 * 1024), expect: "100-continue" };
    const answer = await ask({ ...question, headers });
    expect(answer.status).toBe(413);
    expect((await ask({ ...question, body: "1" })).status).toBe(202);
  });
});

describe("in the end", () => {
  it("what ran beside it all comes to its end as if nothing had been", async () => {
    await app.client.raiseEvent("bystander", "word", "after");
    expect((await app.ended("bystander")).output).toEqual(["before", "after"]);
    expect(app.host.lines.filter(({ message }) => message?.includes("failed in the host itself"))).toEqual([]);
  });
});
