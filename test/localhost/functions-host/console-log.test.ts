// What a person or a machine reads of the host, on a virtual clock.

import { spawn } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  type ConsoleLog,
  type ConsoleLogOptions,
  createConsoleLog,
} from "../../../localhost/functions-host/console-log.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** Noon where this test runs. */
const NOON_MS = new Date(2026, 2, 1, 12, 0, 0, 5).getTime();
const TIME = "12:00:00.005";

interface Written {
  readonly log: ConsoleLog;
  readonly lines: string[];
  readonly clock: VirtualClock;
}

function open(options: Partial<ConsoleLogOptions> & { readonly hasColors?: boolean } = {}): Written {
  const lines: string[] = [];
  const clock = new VirtualClock(NOON_MS);
  const output = { hasColors: options.hasColors === true, write: (line: string) => void lines.push(line) };
  const log = createConsoleLog({
    json: false,
    verbose: false,
    levels: {},
    appFolder: "/app",
    output,
    clock,
    ...options,
  });
  return { log, lines, clock };
}

interface End {
  readonly name?: string;
  readonly outcome?: "succeeded" | "failed" | "timed out";
  readonly message?: string;
  readonly durationMs?: number;
  readonly reason?: string;
}

function end(log: ConsoleLog, given: End = {}): void {
  const { name = "hello", outcome = "succeeded", durationMs = 4.2, reason = "GET /api/hello" } = given;
  const message = given.message ?? (outcome === "succeeded" ? "Succeeded" : "Error: broken");
  const level = outcome === "succeeded" ? "information" : "error";
  const invocationId = "3f2a91c0-0000-4000-8000-000000000000";
  log.write(level, `Function.${name}`, message, {
    event: "invocation",
    function: name,
    reason,
    invocationId,
    durationMs,
    outcome,
  });
}

function endMany(log: ConsoleLog, count: number, given: End = {}): void {
  for (let index = 0; index < count; index++) end(log, given);
}

describe("the log for people", () => {
  it("tells of a run in one line: time, outcome, function, duration, why, short id", () => {
    const { log, lines } = open();
    end(log);
    expect(lines).toEqual([`${TIME} ✓ hello 4.2 ms · GET /api/hello · 3f2a91c0`]);
  });

  it.each([
    [0.04, "0.0 ms"],
    [9.94, "9.9 ms"],
    [9.96, "10 ms"],
    [999.4, "999 ms"],
    [999.6, "1.0 s"],
    [59_949, "59.9 s"],
    [59_951, "1.0 min"],
    [5_400_000, "90.0 min"],
  ])("writes %d milliseconds as %s", (durationMs, text) => {
    const { log, lines } = open();
    end(log, { durationMs });
    expect(lines[0]).toContain(` hello ${text} · `);
  });

  it("shows below a failed run what was thrown, with the app's frames and their places in it", () => {
    const { log, lines } = open();
    const message = "Error: the mailbox\nis full\n    at send (/app/src/mail.ts:3:9)\n    at run (node:internal/x:1:1)";
    end(log, { outcome: "failed", message });
    expect(lines[0]?.split("\n")).toEqual([
      `${TIME} ✗ hello failed 4.2 ms · GET /api/hello · 3f2a91c0`,
      "    Error: the mailbox",
      "    is full",
      "        at send (src/mail.ts:3:9)",
    ]);
  });

  it("tells a run that took too long from one that failed", () => {
    const { log, lines } = open();
    end(log, { outcome: "timed out" });
    expect(lines[0]).toContain("✗ hello timed out 4.2 ms");
  });

  it("shows what functions and the host say, and levels that are not ordinary", () => {
    const { log, lines } = open();
    log.write("information", "Function.hello.User", "two\nlines", { invocationId: "3f2a91c0-0000" });
    log.write("warning", "Function.hello", "hm");
    log.write("error", "DurableTask", "oh");
    log.write("information", "Host", "well");
    expect(lines).toEqual([
      `${TIME} hello 3f2a91c0: two\n    lines`,
      `${TIME} hello: warning: hm`,
      `${TIME} error: oh`,
      `${TIME} well`,
    ]);
  });

  it("shows control characters that came from outside, and lets no name forge a line", () => {
    const { log, lines } = open({ hasColors: true });
    end(log, { reason: "orchestration a\n12:00 ✓ b\u001b[2J" });
    log.write("error", "Host", "GET /\u001b]0;title\u0007\u009b2J failed");
    expect(lines[0]).toContain("orchestration a\\n12:00 ✓ b\\x1b[2J");
    expect(lines[1]).toContain("GET /\\x1b]0;title\\x07\\x9b2J failed");
  });

  it("leaves an app its own colours on a terminal, and nowhere else", () => {
    const painted = "\u001b[35mpink\u001b[0m";
    for (const hasColors of [true, false]) {
      const { log, lines } = open({ hasColors });
      log.write("information", "Function.hello.User", painted);
      expect(lines[0]?.includes(painted)).toBe(hasColors);
    }
  });

  it("is painted on terminals alone", () => {
    for (const hasColors of [true, false]) {
      const { log, lines } = open({ hasColors });
      end(log, { outcome: "failed" });
      log.write("warning", "Host", "hm");
      expect(lines.every((line) => line.includes("\u001b[") === hasColors)).toBe(true);
    }
  });
});

describe("the log for machines", () => {
  it("is one JSON object a line, with all the fields there are", () => {
    const { log, lines } = open({ json: true });
    end(log, { outcome: "failed", message: "Error: a\n    at run (node:internal/x:1:1)" });
    log.write("warning", "Host", "two\nlines");
    const time = new Date(NOON_MS).toISOString();
    expect(lines.every((line) => !line.includes("\n"))).toBe(true);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        time,
        level: "error",
        category: "Function.hello",
        message: "Error: a\n    at run (node:internal/x:1:1)",
        event: "invocation",
        function: "hello",
        reason: "GET /api/hello",
        invocationId: "3f2a91c0-0000-4000-8000-000000000000",
        durationMs: 4.2,
        outcome: "failed",
      },
      { time, level: "warning", category: "Host", message: "two\nlines" },
    ]);
  });

  it("tells of counted runs with figures", () => {
    const { log, lines, clock } = open({ json: true });
    endMany(log, 49);
    end(log, { durationMs: 1 });
    end(log, { durationMs: 8 });
    end(log, { durationMs: 3 });
    clock.advance(1000);
    expect(lines).toHaveLength(51);
    expect(JSON.parse(lines[50] ?? "")).toMatchObject({
      level: "information",
      category: "Function.hello",
      event: "invocations",
      function: "hello",
      outcome: "succeeded",
      count: 2,
      averageMs: 5.5,
      longestMs: 8,
      periodMs: 1000,
    });
  });
});

describe("the levels of host.json", () => {
  it("silence what is below them, runs included", () => {
    const { log, lines } = open({ levels: { default: "error", "Function.hello": "warning", Host: "none" } });
    end(log);
    log.write("warning", "DurableTask", "not told");
    log.write("critical", "Host", "not told");
    log.write("warning", "Function.hello", "told");
    end(log, { name: "other", outcome: "failed" });
    expect(lines.map((line) => line.split("\n")[0])).toEqual([
      `${TIME} hello: warning: told`,
      `${TIME} ✗ other failed 4.2 ms · GET /api/hello · 3f2a91c0`,
    ]);
  });

  it("do not hold with --verbose, which also shows whole stacks and every run", () => {
    const { log, lines } = open({ verbose: true, levels: { default: "none" } });
    log.write("trace", "Worker", "told");
    end(log, { outcome: "failed", message: "Error: a\n    at run (node:internal/x:1:1)" });
    expect(lines.join("\n")).toContain("at run (node:internal/x:1:1)");
    endMany(log, 500);
    expect(lines).toHaveLength(502);
  });
});

describe("a busy function", () => {
  it("is told of 50 times, and then as one line each second", () => {
    const { log, lines, clock } = open();
    for (let tick = 0; tick < 200; tick++) {
      endMany(log, 50);
      clock.advance(10);
    }
    log.flush();
    const summaries = lines.slice(50);
    expect(summaries[0]).toBe(
      "12:00:01.005 ✓ hello: 4,950 more runs succeeded in 1.0 s, 4.2 ms on average, 4.2 ms at most",
    );
    const told = summaries.map((line) => Number(/ ([\d,]+) more runs/.exec(line)?.[1]?.replace(",", "")));
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(10_000 - 50);
    expect(summaries.length).toBeLessThanOrEqual(3);
  });

  it("does not hide one that is not", () => {
    const { log, lines } = open();
    endMany(log, 1000, { name: "busy" });
    end(log, { name: "calm" });
    expect(lines).toHaveLength(51);
    expect(lines[50]).toContain("✓ calm");
  });

  it("does not hide its failures, ten each second and then the last of them", () => {
    const { log, lines, clock } = open();
    endMany(log, 1000);
    endMany(log, 12, { outcome: "failed", message: "Error: first line\nmore\n    at x (/app/x.ts:1:1)" });
    expect(lines).toHaveLength(60);
    clock.advance(1000);
    expect(lines[61]).toMatch(/✗ hello: 2 more runs failed in 1\.0 s, .*; the last: Error: first line$/);
  });

  it("is told of run by run again when it has calmed down", () => {
    const { log, lines, clock } = open();
    endMany(log, 60);
    clock.advance(1000);
    expect(lines.splice(0)).toHaveLength(51);
    endMany(log, 5);
    clock.advance(1000);
    expect(lines.splice(0)).toEqual([expect.stringContaining(": 5 more runs")]);
    endMany(log, 5);
    expect(lines).toHaveLength(5);
  });

  it("leaves no timer behind once all is told", () => {
    const { log, lines, clock } = open();
    endMany(log, 60);
    log.flush();
    expect(lines).toHaveLength(51);
    expect(clock.nextMs()).toBeUndefined();
    log.flush();
    expect(lines).toHaveLength(51);
  });

  it("is told of although the clock was set back", () => {
    const lines: string[] = [];
    let nowMs = NOON_MS;
    const clock = { nowMs: () => nowMs, after: () => () => {} };
    const output = { hasColors: false, write: (line: string) => void lines.push(line) };
    const log = createConsoleLog({ json: false, verbose: false, levels: {}, appFolder: "/app", output, clock });
    endMany(log, 60);
    nowMs -= 3_600_000;
    end(log);
    expect(lines[50]).toContain("10 more runs");
  });
});

describe("on the standard output of a process", () => {
  const logFile = new URL("../../../localhost/functions-host/console-log.ts", import.meta.url).href;

  /** Runs a process whose `log` prints, and resolves with its exit code and what was read of it. */
  function run(script: string, readsAll: boolean): Promise<{ readonly code: number | null; readonly output: string }> {
    const start = `import { createConsoleLog } from ${JSON.stringify(logFile)};
      const log = createConsoleLog({ json: false, verbose: false, levels: {}, appFolder: "/app" });`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", start + script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (bytes: Buffer) => {
      output += bytes;
      if (!readsAll) child.stdout.destroy();
    });
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
  }

  it("tells of counted runs before the process ends", async () => {
    const script = `
      const fields = { event: "invocation", function: "busy", reason: "x", invocationId: "1", durationMs: 1, outcome: "succeeded" };
      for (let count = 0; count < 60; count++) log.write("information", "Function.busy", "Succeeded", fields);
      process.exit(7);`;
    const { code, output } = await run(script, true);
    expect(code).toBe(7);
    expect(output.trimEnd().split("\n")).toHaveLength(51);
    expect(output).toContain("busy: 10 more runs succeeded");
  });

  it("goes on when whoever read it has gone away", async () => {
    const script = `
      let count = 0;
      setInterval(() => {
        log.write("information", "Host", "line " + count++);
        if (count === 100) process.exit(7);
      }, 1);`;
    const { code, output } = await run(script, false);
    expect(code).toBe(7);
    expect(output).toContain("line 0");
    expect(output).not.toContain("line 99");
  });
});
