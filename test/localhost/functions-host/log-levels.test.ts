import { describe, expect, it } from "vitest";
import type { LogLevel } from "../../../localhost/functions-host/host-log.ts";
import { type LogThreshold, planLogFilter } from "../../../localhost/functions-host/log-levels.ts";

const ALL: readonly LogLevel[] = ["trace", "debug", "information", "warning", "error", "critical"];

/** The lowest level that is wanted. */
function lowest(levels: Readonly<Record<string, LogThreshold>>, category: string): LogLevel | undefined {
  const wants = planLogFilter(levels);
  const wanted = ALL.filter((level) => wants(level, category));
  expect(wanted).toEqual(ALL.slice(ALL.length - wanted.length));
  return wanted[0];
}

describe("planLogFilter", () => {
  it("wants information and up when nothing is said", () => {
    expect(lowest({}, "Host")).toBe("information");
  });

  it("goes by the longest category that begins the line's, and by 'default' for all others", () => {
    const levels = {
      default: "error",
      Function: "warning",
      "Function.hello": "debug",
      "Function.hello.User": "trace",
    } as const;
    expect(lowest(levels, "Function.hello.User")).toBe("trace");
    expect(lowest(levels, "Function.hello")).toBe("debug");
    expect(lowest(levels, "Function.other.User")).toBe("warning");
    expect(lowest(levels, "Host")).toBe("error");
  });

  it("does not care for case, nor for the order of the settings", () => {
    expect(lowest({ "FUNCTION.HELLO": "debug", function: "error", Default: "none" }, "Function.hello")).toBe("debug");
    expect(lowest({ "FUNCTION.HELLO": "debug", function: "error", Default: "none" }, "Host")).toBeUndefined();
  });

  it("lets one star stand for anything", () => {
    const levels = { "Function.*.User": "trace", Function: "error" } as const;
    expect(lowest(levels, "Function.hello.User")).toBe("trace");
    expect(lowest(levels, "Function.User")).toBe("error");
    expect(lowest(levels, "Function.hello")).toBe("error");
  });

  it("silences a category with 'none'", () => {
    expect(lowest({ Worker: "none" }, "Worker")).toBeUndefined();
  });
});
