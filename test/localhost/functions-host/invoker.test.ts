// A real app, loaded once as the host loads it, and called through the real library. One process holds one app.

import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { findEntryPoints, loadApp } from "../../../localhost/functions-host/app-loader.ts";
import type { FunctionEntry, Invoker } from "../../../localhost/functions-host/function-entry.ts";
import { buildFunctionTable, type FunctionTable } from "../../../localhost/functions-host/function-table.ts";
import type { LogFields } from "../../../localhost/functions-host/host-log.ts";
import { createInvoker } from "../../../localhost/functions-host/invoker.ts";
import type { WorkerState } from "../../../localhost/functions-host/worker-state.ts";

const lines: { level: string; message: string; fields: LogFields | undefined }[] = [];
const log = {
  write: (level: string, _category: string, message: string, fields?: LogFields) =>
    void lines.push({ level, message, fields }),
};

let worker: WorkerState;
let table: FunctionTable;
beforeAll(async () => {
  const folder = fileURLToPath(new URL("../../apps/commonjs", import.meta.url));
  worker = (await loadApp(folder, findEntryPoints({ folder }), log)).state;
  table = buildFunctionTable(worker.registrations);
});

function invokerWith(functionTimeoutMs?: number): Invoker {
  return createInvoker({ worker, log, functionTimeoutMs, clientBindingData: () => "{}" });
}

function entryOf(name: string): FunctionEntry {
  const entry = table.entries.find((each) => each.name === name);
  if (entry === undefined) throw new Error(`${name} is not served`);
  return entry;
}

describe("buildFunctionTable", () => {
  it("orders functions by name without regard to case, each with its kind", () => {
    expect(table.entries.map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
      "double: activity",
      "from-queue: unsupported",
      "hello: http",
      "nightly: timer",
      "Throws: http",
      "twice: orchestration",
    ]);
  });

  it("refuses a name that Azure would not index, and says which rule it breaks", () => {
    expect(table.refused.map(({ name }) => name)).toEqual(["1-begins-with-digit"]);
    expect(table.refused[0]?.reason).toContain("must begin with a letter");
  });
});

describe("invoke", () => {
  it("gives the function its input and its result back", async () => {
    const outcome = await invokerWith().invoke({ entry: entryOf("double"), trigger: { string: "21" }, reason: "test" });
    expect(outcome).toMatchObject({ ok: true, response: { returnValue: { int: 42 } } });
  });

  it("gives every invocation an id of its own, in the form of a GUID", async () => {
    const invocation = { entry: entryOf("double"), trigger: { string: "1" }, reason: "test" };
    const outcomes = await Promise.all(Array.from({ length: 600 }, () => invokerWith().invoke(invocation)));
    const ids = new Set(outcomes.map(({ invocationId }) => invocationId));
    expect(ids.size).toBe(600);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it("tells what the function threw, with the place in its source", async () => {
    const outcome = await invokerWith().invoke({
      entry: entryOf("Throws"),
      trigger: { http: { method: "GET", url: "http://localhost/" } },
      reason: "test",
    });
    expect(outcome).toMatchObject({ ok: false, timedOut: false, error: { message: "broken on purpose" } });
    expect(lines.at(-1)).toMatchObject({ level: "error", fields: { function: "Throws", outcome: "failed" } });
    expect(lines.at(-1)?.message).toContain("commonjs/index.cjs");
  });

  it("fails an invocation that takes longer than functionTimeout, and ignores its late end", async () => {
    const late = Promise.withResolvers<string>();
    const entry = { ...entryOf("double"), callback: () => late.promise };
    const before = lines.length;
    const outcome = await invokerWith(20).invoke({ entry, trigger: { string: "1" }, reason: "test" });
    late.resolve("too late");
    await late.promise;
    expect(outcome).toMatchObject({ ok: false, timedOut: true });
    expect(lines.slice(before).map(({ fields }) => fields?.outcome)).toEqual(["timed out"]);
  });

  it("runs a timer again as its retry policy says, and tells it which try this is", async () => {
    const tries: unknown[] = [];
    const nightly = entryOf("nightly");
    const retryOptions = { retryStrategy: "fixedDelay", maxRetryCount: 2, delayInterval: { seconds: 0 } } as const;
    const entry: FunctionEntry = {
      ...nightly,
      metadata: { ...nightly.metadata, retryOptions },
      callback: (_timer, context) => {
        tries.push((context as { retryContext: { retryCount: number } }).retryContext.retryCount);
        throw new Error("again");
      },
    };
    const outcome = await invokerWith().invoke({ entry, trigger: { json: "{}" }, reason: "timer" });
    expect(outcome.ok).toBe(false);
    expect(tries).toEqual([0, 1, 2]);
  });
});
