// What is said when the host is ready, of functions that the real library registered.

import { describe, expect, it } from "vitest";
import { printBanner, type ReadyHost } from "../../../localhost/functions-host/banner.ts";
import { NEVER_MS } from "../../../localhost/functions-host/timers/schedule.ts";
import { registerFunctions } from "../../support/http-functions.ts";

const MINUTE_MS = 60_000;
const URL = "http://127.0.0.1:7071";
type Timer = ReadyHost["timers"]["views"][number];

const kindsOf: Readonly<Record<string, string>> = {
  o: "orchestrationTrigger",
  a: "activityTrigger",
  e: "entityTrigger",
};

/** Names of durable functions begin with the first letter of their kind. */
function hostOf(
  durable: readonly string[],
  timers: readonly Timer[] = [],
  refused: ReadyHost["refused"] = [],
): ReadyHost {
  const handler = (): undefined => undefined;
  const entries = registerFunctions((app) => {
    for (const name of durable) {
      app.generic(name, { trigger: { type: kindsOf[name[0] ?? ""] ?? "", name: "context" }, handler });
    }
    app.http("hello", { methods: ["GET", "POST"], route: "hello/{name}", handler: () => ({}) });
  });
  const routes = entries
    .filter(({ kind }) => kind === "http")
    .map((entry) => ({ entry, methods: ["GET", "POST"], url: `${URL}/api/hello/{name}` }));
  return {
    url: URL,
    port: 7071,
    functions: { entries, refused: [] },
    routes,
    refused,
    timers: { views: timers, refused: [], start: async () => {}, runByHand: () => false, stop: async () => {} },
  };
}

function textOf(host: ReadyHost, json = false): string {
  const lines: string[] = [];
  const output = { hasColors: false, write: (line: string) => void lines.push(line) };
  printBanner(host, { json, appFolder: "/app", dataFolder: "/data", output });
  expect(lines).toHaveLength(1);
  return lines[0] ?? "";
}

function timer(name: string, nextMs: number): Timer {
  return { name, schedule: "0 0 * * * *", nextMs };
}

describe("the banner for people", () => {
  it("groups functions by what starts them, each with how to reach it", () => {
    const text = textOf(hostOf(["orders", "another", "add", "entity"]));
    expect(text).toContain("HTTP\n  hello  GET,POST  http://127.0.0.1:7071/api/hello/{name}\n");
    expect(text).toContain("Orchestrations\n  orders\n");
    expect(text).toContain("Activities\n  add, another\n");
    expect(text).toContain("Entities\n  entity\n");
    expect(text).toContain("\nDurable management API at http://127.0.0.1:7071/runtime/webhooks/durabletask\n");
    expect(text).toContain("\nReady at http://127.0.0.1:7071 ");
    expect(text).toContain("/data");
  });

  it("is silent about what the app does not have", () => {
    const text = textOf(hostOf([]));
    for (const word of ["Timers", "Orchestrations", "Activities", "Entities", "Not served", "management"]) {
      expect(text).not.toContain(word);
    }
  });

  it("says so when the app has no functions at all", () => {
    const host = hostOf([]);
    expect(textOf({ ...host, routes: [], functions: { entries: [], refused: [] } })).toContain("no functions");
  });

  it.each([
    [5_400, "(in 5 s)"],
    [-1, "(in 0 s)"],
    [5 * MINUTE_MS, "(in 5 min)"],
    [300 * MINUTE_MS, "(in 5 h)"],
    [5 * 24 * 60 * MINUTE_MS, "(in 5 days)"],
  ])("tells when a timer that is due in %d ms runs next", (waitMs, text) => {
    const nextMs = Date.now() + waitMs;
    const line = textOf(hostOf([], [timer("tick", nextMs)]))
      .split("\n")
      .find((each) => each.includes("tick"));
    const date = new Date(nextMs);
    expect(line).toContain(`tick  0 0 * * * *  next ${date.getFullYear()}-`);
    expect(line).toContain(`${date.toTimeString().slice(0, 8)} ${text}`);
  });

  it("tells of a timer that never runs", () => {
    expect(textOf(hostOf([], [timer("tick", NEVER_MS)]))).toContain("tick  0 0 * * * *  never due\n");
  });

  it("lists what is not served, with the reason", () => {
    const refused = [
      { name: "9lives", reason: "it begins with a digit" },
      { name: "q", reason: "no such trigger" },
    ];
    expect(textOf(hostOf([], [], refused))).toContain(
      "Not served\n  9lives  it begins with a digit\n  q       no such trigger\n",
    );
  });

  it("breaks long lists of names into lines", () => {
    const names = Array.from({ length: 40 }, (_, index) => `activity-number-${index}`);
    const lines = textOf(hostOf(names))
      .split("\n")
      .filter((line) => line.includes("activity-number"));
    expect(lines.length).toBeGreaterThan(5);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(104);
    expect(lines.join(" ").match(/activity-number-\d+/g)).toHaveLength(40);
  });
});

describe("the banner for machines", () => {
  it("is one line with the same facts", () => {
    const nextMs = Date.parse("2026-03-01T12:00:00Z");
    const refused = [{ name: "9lives", reason: "it begins with a digit" }];
    const line = textOf(hostOf(["orders"], [timer("tick", nextMs), timer("tock", NEVER_MS)], refused), true);
    expect(line).not.toContain("\n");
    expect(JSON.parse(line)).toMatchObject({
      event: "ready",
      level: "information",
      url: URL,
      port: 7071,
      managementUrl: `${URL}/runtime/webhooks/durabletask`,
      dataFolder: "/data",
      functions: [
        { name: "hello", kind: "http" },
        { name: "orders", kind: "orchestration" },
      ],
      routes: [{ name: "hello", methods: ["GET", "POST"], url: `${URL}/api/hello/{name}` }],
      timers: [
        { name: "tick", schedule: "0 0 * * * *", next: "2026-03-01T12:00:00.000Z" },
        { name: "tock", schedule: "0 0 * * * *", next: null },
      ],
      refused,
    });
  });
});
