import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTimeSpan } from "../../../../localhost/functions-host/timers/time-span.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe("parseTimeSpan", () => {
  it.each([
    ["00:05:00", 5 * MINUTE_MS],
    ["00:05", 5 * MINUTE_MS],
    ["1:02:03", HOUR_MS + 2 * MINUTE_MS + 3 * SECOND_MS],
    ["00:00:00.25", 250],
    ["1.00:00:00", DAY_MS],
    ["1.12:30", DAY_MS + 12 * HOUR_MS + 30 * MINUTE_MS],
    ["2:01:00:00.5", 2 * DAY_MS + HOUR_MS + 500],
    ["5", 5 * DAY_MS],
    [" 00:00:10 ", 10 * SECOND_MS],
  ])("reads '%s' as .NET does", (text, expectedMs) => {
    expect(parseTimeSpan(text)).toBe(expectedMs);
  });

  it("takes a first part that can be no hour for days, the trap that .NET sets", () => {
    expect(parseTimeSpan("23:00:00")).toBe(23 * HOUR_MS);
    expect(parseTimeSpan("24:00:00")).toBe(24 * DAY_MS);
  });

  it.each([
    "",
    "abc",
    "24:00",
    "00:60:00",
    "00:00:60",
    "1.24:00:00",
    "00:00:00.",
    "-00:05:00",
    "0 0 * * *",
    "1:2:3:4:5",
  ])("finds no duration in '%s'", (text) => {
    expect(parseTimeSpan(text)).toBeUndefined();
  });

  it("reads back whatever is written as d.hh:mm:ss.fff", () => {
    const two = (value: number): string => String(value).padStart(2, "0");
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 * DAY_MS }), (ms) => {
        const [days, hours, minutes] = [ms / DAY_MS, (ms / HOUR_MS) % 24, (ms / MINUTE_MS) % 60].map(Math.floor);
        const seconds = `${two(Math.floor(ms / SECOND_MS) % 60)}.${String(ms % SECOND_MS).padStart(3, "0")}`;
        expect(parseTimeSpan(`${days}.${two(hours ?? 0)}:${two(minutes ?? 0)}:${seconds}`)).toBe(ms);
      }),
    );
  });
});
