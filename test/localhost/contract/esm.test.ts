// An ECMAScript module app whose `main` is a glob: hooks, streaming, structured failures, settings.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, sampleApp, startContractApp } from "../../support/contract-app.ts";
import { runHostToEnd } from "../../support/host-process.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-esm-"));
const terminatedFile = join(folder, "terminated");

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp({ app: sampleApp("contract-esm"), env: { TERMINATED_FILE: terminatedFile } });
});
afterAll(async () => {
  await app.host.stop();
  rmSync(folder, { recursive: true });
});

async function textOf(path: string, init?: RequestInit): Promise<string> {
  const response = await app.get(path, init);
  return `${response.status} ${await response.text()}`;
}

describe("an ECMAScript module app", () => {
  it("is served from every file its glob matches, with its settings", async () => {
    expect(await textOf("/api/setting")).toBe("200 from the settings");
    expect(await app.outputOf("hooked")).toMatchObject({ cured: "cured" });
  });

  it("streams what is sent to it, and what it sends", async () => {
    const body = new Uint8Array(3 * 1024 * 1024).fill(7);
    expect(await textOf("/api/count-bytes", { method: "POST", body })).toBe(`200 ${body.length}`);
    const response = await app.get("/api/drip");
    const chunks: string[] = [];
    for await (const chunk of response.body ?? []) chunks.push(Buffer.from(chunk).toString());
    expect(chunks.join("")).toBe("one two three");
    expect(chunks.length).toBeGreaterThan(1);
  });

  it("opens its functions to web pages of the origins in its settings", async () => {
    const allowed = await app.get("/api/setting", { headers: { origin: "https://portal.example" } });
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://portal.example");
    const foreign = await app.get("/api/setting", { headers: { origin: "https://elsewhere.example" } });
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("a hook", () => {
  it("at the start knows the app's folder", async () => {
    expect(await textOf("/api/started-in")).toBe(`200 ${sampleApp("contract-esm")}`);
  });

  it("before an invocation may change inputs and replace the handler", async () => {
    expect(await app.outputOf("hooked")).toMatchObject({ tens: [10, 20, 30] });
    expect(await textOf("/api/replaced")).toBe("200 by the hook");
  });

  it("after an invocation may change the result, cure an error, and share data with the one before", async () => {
    expect(await textOf("/api/answered-by-hook")).toBe("200 by the function, and then by the hook of answered-by-hook");
    expect(await textOf("/api/cured")).toBe("200 cured");
    expect(await app.outputOf("hooked")).toMatchObject({ cured: "cured" });
  });

  it("that throws fails the invocation, and the log says what it threw", async () => {
    expect(await textOf("/api/fails-after")).toBe("500 ");
    const line = await app.host.waitForLog(
      ({ event, function: name }) => event === "invocation" && name === "fails-after",
    );
    expect(line.message).toContain("thrown by a hook");
  });

  it("on the log sees what functions say, and may change it", async () => {
    expect(await textOf("/api/says?word=hello")).toBe("200 hello");
    const logged = (await (await app.get("/api/logged")).json()) as { message: string }[];
    expect(logged).toContainEqual({ level: "information", message: "said as usual", functionName: "says" });
    expect(logged).toContainEqual({ level: "warning", message: "hush", functionName: "says" });
    await app.host.waitForLog(({ message }) => message === "said as usual");
    await textOf("/api/says?word=again");
    expect(app.host.lines.filter(({ message }) => message === "hush")).toEqual([]);
  });
});

describe("a failure with properties", () => {
  it("reaches the orchestrator with its type, properties, task and stack", async () => {
    expect(await app.outputOf("catch-details")).toEqual({
      isTaskFailedError: true,
      message: "StockError: sku-1 is out of stock",
      taskName: "reserve",
      taskId: 0,
      details: {
        errorType: "StockError",
        errorMessage: "sku-1 is out of stock",
        properties: { sku: "sku-1", tags: ["a", 1] },
        isNonRetriable: false,
      },
      isCausedByStock: true,
      hasStack: true,
    });
  });

  it("fails an orchestration that does not catch it with words, not with JSON", async () => {
    expect(await app.failureOf("do-not-catch-details")).toBe(
      "Orchestrator function 'do-not-catch-details' failed: StockError: sku-2 is out of stock",
    );
  });

  it("survives retries", async () => {
    expect(await app.outputOf("retry-details")).toBe("sku-3 is out of stock");
  });

  it("is told in the log with words, not with JSON", async () => {
    await app.run("catch-details");
    const line = await app.host.waitForLog(({ outcome, function: name }) => outcome === "failed" && name === "reserve");
    expect(line.message).toMatch(/StockError: sku-1 is out of stock/);
    expect(line.message).not.toContain('{"errorType"');
  });
});

describe("starting", () => {
  it("fails with the error and a way out when a hook for it throws", async () => {
    const { code, output } = await runHostToEnd({ app: sampleApp("contract-esm"), env: { BREAK_AT_START: "1" } });
    expect(code).toBe(1);
    expect(output).toContain("An appStart hook of the app failed:");
    expect(output).toMatch(/no connection to anything.*hooks\.js:\d+/s);
    expect(output).toContain("Correct it and start again");
  });
});

describe("stopping", () => {
  it("runs the hooks for it", async () => {
    const other = await startContractApp({
      app: sampleApp("contract-esm"),
      env: { TERMINATED_FILE: `${terminatedFile}-other` },
    });
    expect(await other.host.stop()).toEqual({ code: 0, signal: null });
    expect(readFileSync(`${terminatedFile}-other`, "utf8")).toBe("terminated\n");
  });
});
