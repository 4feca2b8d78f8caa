import { describe, expect, it } from "vitest";
import {
  decideConsistency,
  explainConsistency,
  explainOutcome,
  type GuestFacts,
} from "../../../src/domain/consistency.ts";

const withCode = (code: string) => expect.objectContaining({ code });

describe("how consistent a snapshot can be", () => {
  const WINDOWS: GuestFacts = {
    powerState: "Running",
    hasFailed: false,
    osType: "Windows",
    agent: { status: "Ready", version: "2.7.41491.1010" },
    hasExtension: true,
  };
  const decide = (change: Partial<GuestFacts>) => decideConsistency({ ...WINDOWS, ...change });

  it("is application-consistent for a running Windows with its agent and extension", () => {
    expect(decide({})).toEqual({ ask: "BestPossible", expected: "ApplicationConsistent", reason: undefined });
  });

  it("is file-system-consistent for a running Linux", () => {
    expect(decide({ osType: "Linux", agent: { status: "Ready", version: "2.2.46" } })).toMatchObject({
      ask: "BestPossible",
      expected: "FileSystemConsistent",
    });
  });

  it.each<readonly [string, Partial<GuestFacts>]>([
    ["machine-off", { powerState: "Stopped" }],
    ["machine-off", { powerState: "Deallocated" }],
    ["agent-absent", { agent: { status: "Absent" } }],
    ["agent-not-ready", { agent: { status: "NotReady" } }],
    ["agent-too-old", { agent: { status: "Ready", version: "2.6.1198.717" } }],
    ["agent-too-old", { agent: { status: "Ready", version: "2.6" } }],
    ["agent-too-old", { agent: { status: "Ready", version: "Unknown" } }],
    ["extension-absent", { hasExtension: false }],
  ])("degrades and does not fail, for a reason that is recorded: %s", (reason, change) => {
    expect(decide(change)).toEqual({ ask: "CrashConsistent", expected: "CrashConsistent", reason });
  });

  it.each(["2.6.1198.718", "2.6.1199.0", "2.7", "10.0.0.0"])(
    "accepts the agent %s, compared number by number",
    (version) => {
      expect(decide({ agent: { status: "Ready", version } }).ask).toBe("BestPossible");
    },
  );

  it("is nothing for a machine that failed or is between two states", () => {
    expect(() => decide({ powerState: "InTransition" })).toThrow(withCode("UserErrorVmNotInDesirableState"));
    expect(() => decide({ hasFailed: true })).toThrow(withCode("UserErrorVmNotInDesirableState"));
  });

  it("is explained when it is not the best: by what was known before, or by the guest when it became less than that", () => {
    const known = explainConsistency("linux-without-scripts");
    const guest = explainConsistency("guest-did-not-cooperate");
    expect(explainOutcome("ApplicationConsistent", "ApplicationConsistent", "")).toBe("");
    expect(explainOutcome("CrashConsistent", "ApplicationConsistent", "")).toBe(guest);
    expect(explainOutcome("FileSystemConsistent", "FileSystemConsistent", known)).toBe(known);
    expect(explainOutcome("CrashConsistent", "FileSystemConsistent", known)).toBe(guest);
    // Scripts made it better than expected.
    expect(explainOutcome("ApplicationConsistent", "FileSystemConsistent", known)).toBe("");
    expect(explainOutcome("CrashConsistent", "CrashConsistent", explainConsistency("machine-off"))).toContain("off");
  });
});
