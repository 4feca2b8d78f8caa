import { describe, expect, it } from "vitest";
import {
  type ConsistencyDecision,
  decideConsistency,
  explainConsistency,
  type GuestFacts,
  recordConsistency,
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

  it("is recorded as what came of it, with the reason when that is less", () => {
    const decision: ConsistencyDecision = { ask: "BestPossible", expected: "ApplicationConsistent", reason: undefined };
    expect(recordConsistency(decision, "ApplicationConsistent").reason).toBeUndefined();
    expect(recordConsistency(decision, "CrashConsistent")).toEqual({
      consistency: "CrashConsistent",
      reason: "guest-did-not-cooperate",
    });
    const linux = decide({ osType: "Linux" });
    expect(recordConsistency(linux, "FileSystemConsistent").reason).toBe("linux-without-scripts");
    // Scripts made it better than expected.
    expect(recordConsistency(linux, "ApplicationConsistent").reason).toBeUndefined();
    expect(explainConsistency("machine-off")).toContain("off");
  });
});
