import { describe, expect, it } from "vitest";
import { buildFunctionTable } from "../../../localhost/functions-host/function-table.ts";
import type { Registration } from "../../../localhost/functions-host/worker-state.ts";

function registered(...names: string[]): Map<string, Registration> {
  return new Map(names.map((name) => [name, registration(name)]));
}

function registration(name: string, type = "httpTrigger"): Registration {
  return { metadata: { name, bindings: { trigger: { type, direction: "in" } } }, callback: () => undefined };
}

describe("the table of functions", () => {
  it("orders by name without regard to case, as routes are matched", () => {
    const { entries } = buildFunctionTable(registered("b", "C", "a"));
    expect(entries.map(({ name }) => name)).toEqual(["a", "b", "C"]);
  });

  it.each(["1st", "with space", "dot.ted", "host", "HOST", "", "x".repeat(129)])(
    "refuses the name '%s' as Azure does",
    (name) => {
      const { entries, refused } = buildFunctionTable(registered(name, "fine"));
      expect(entries.map((entry) => entry.name)).toEqual(["fine"]);
      expect(refused).toEqual([{ name, reason: expect.stringContaining("is not a valid function name") }]);
    },
  );

  it.each(["a", "A_b-9", "x".repeat(128)])("takes the name '%s'", (name) => {
    expect(buildFunctionTable(registered(name)).refused).toEqual([]);
  });

  it("refuses the second of two names that differ in case only", () => {
    const { entries, refused } = buildFunctionTable(registered("send", "Send"));
    expect(entries.map(({ name }) => name)).toEqual(["send"]);
    expect(refused[0]?.reason).toContain("compared without regard to case");
  });

  it.each([
    ["AzureWebJobs.send.Disabled", "true"],
    ["AzureWebJobs_send_Disabled", "1"],
  ])("leaves out what the setting %s disables, and says so", (setting, value) => {
    const { entries, refused } = buildFunctionTable(registered("send", "stay"), { [setting]: value });
    expect(entries.map(({ name }) => name)).toEqual(["stay"]);
    expect(refused).toEqual([{ name: "send", reason: `the setting '${setting}' disables it.` }]);
  });

  it("keeps a function whose setting says that it is not disabled", () => {
    expect(buildFunctionTable(registered("send"), { "AzureWebJobs.send.Disabled": "false" }).refused).toEqual([]);
  });

  it("lists triggers it does not know as unsupported instead of failing", () => {
    const table = new Map([["queue", registration("queue", "queueTrigger")]]);
    expect(buildFunctionTable(table).entries[0]?.kind).toBe("unsupported");
  });
});
