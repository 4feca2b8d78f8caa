// Warnings in the head of an answer.

import { describe, expect, it } from "vitest";
import { warningHeader } from "../../../src/api/warnings.ts";

describe("warnings", () => {
  it("are one value each, and no header when there are none", () => {
    expect(warningHeader(["One", "Two, too"])).toEqual({ Warning: '299 - "One", 299 - "Two, too"' });
    expect(warningHeader([])).toEqual({});
  });

  it("are quoted, in ASCII, and on one line, whatever they say", () => {
    const { Warning = "" } = warningHeader(['a "b" \\ ü\r\nX-Evil: 1']);
    expect(Warning).toBe('299 - "a \\"b\\" \\\\ ???X-Evil: 1"');
    expect(new Headers({ Warning }).get("warning")).toBe(Warning);
  });
});
