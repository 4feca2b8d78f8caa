// How consistent a snapshot can be, decided before it is asked for, and what is recorded of it afterwards: which kind it
// is, and why it is not a better one. A missing or old agent makes a backup less consistent; it never fails it.

import { HoldfastFailure } from "../base/failure.ts";
import { FAILURE_CATALOG } from "./failure-catalog.ts";

/** Best first. */
export const CONSISTENCIES = ["ApplicationConsistent", "FileSystemConsistent", "CrashConsistent"] as const;
export type Consistency = (typeof CONSISTENCIES)[number];

export type PowerState = "Running" | "Stopped" | "Deallocated" | "InTransition";
export type OsType = "Windows" | "Linux";

export interface GuestFacts {
  readonly powerState: PowerState;
  /** The last attempt to create or update it failed. */
  readonly hasFailed: boolean;
  readonly osType: OsType;
  readonly agent: AgentFacts;
  readonly hasExtension: boolean;
}

export type AgentFacts =
  | { readonly status: "Absent" | "NotReady" }
  | { readonly status: "Ready"; readonly version: string };

export interface ConsistencyDecision {
  /** What Azure is asked for: the best it can do, or no cooperation of the guest at all. */
  readonly ask: "BestPossible" | "CrashConsistent";
  /** The best that can come of it. */
  readonly expected: Consistency;
  /** Why it is not better; undefined when nothing is missing. */
  readonly reason: ConsistencyReason | undefined;
}

export type ConsistencyReason =
  | "machine-off"
  | "agent-absent"
  | "agent-not-ready"
  | "agent-too-old"
  | "extension-absent"
  | "linux-without-scripts"
  | "guest-did-not-cooperate";

/** Older agents of Windows do not report snapshots. */
export const MIN_WINDOWS_AGENT = "2.6.1198.718";

/** Throws when the machine is in no state for any backup. */
export function decideConsistency(guest: GuestFacts): ConsistencyDecision {
  if (guest.powerState === "InTransition" || guest.hasFailed) {
    const { message, recommendedActions } = FAILURE_CATALOG.UserErrorVmNotInDesirableState;
    throw new HoldfastFailure("conflict", "UserErrorVmNotInDesirableState", message, {
      hint: recommendedActions.join(" "),
    });
  }
  const reason = reasonAgainstGuest(guest);
  if (reason !== undefined) return { ask: "CrashConsistent", expected: "CrashConsistent", reason };
  const reasonOfSystem = guest.osType === "Linux" ? "linux-without-scripts" : undefined;
  return { ask: "BestPossible", expected: bestOf(guest.osType), reason: reasonOfSystem };
}

/** Of a guest that cooperates. */
export const bestOf = (osType: OsType): Consistency =>
  osType === "Linux" ? "FileSystemConsistent" : "ApplicationConsistent";

function reasonAgainstGuest({ powerState, osType, agent, hasExtension }: GuestFacts): ConsistencyReason | undefined {
  if (powerState !== "Running") return "machine-off";
  if (agent.status !== "Ready") return agent.status === "Absent" ? "agent-absent" : "agent-not-ready";
  if (osType === "Windows" && isOlder(agent.version, MIN_WINDOWS_AGENT)) return "agent-too-old";
  return hasExtension ? undefined : "extension-absent";
}

const REASONS: Readonly<Record<ConsistencyReason, string>> = {
  "machine-off": "The machine was off.",
  "agent-absent": "The machine has no VM agent.",
  "agent-not-ready": "The VM agent did not report.",
  "agent-too-old": `The VM agent is older than ${MIN_WINDOWS_AGENT}.`,
  "extension-absent": "The backup extension is not installed yet.",
  "linux-without-scripts":
    "On Linux, applications take part only through scripts that run before and after the snapshot.",
  "guest-did-not-cooperate": "The guest did not answer in time, or a writer in it failed.",
};

export const explainConsistency = (reason: ConsistencyReason): string => REASONS[reason];

/** Why a snapshot is no better than what Azure says it became; "" when it is the best there is. `reason`: what was known before. */
export function explainOutcome(actual: Consistency, expected: Consistency, reason: string): string {
  if (actual === "ApplicationConsistent") return "";
  const isWorse = CONSISTENCIES.indexOf(actual) > CONSISTENCIES.indexOf(expected);
  return isWorse ? explainConsistency("guest-did-not-cooperate") : reason;
}

function isOlder(version: string, wanted: string): boolean {
  const [parts, wantedParts] = [version, wanted].map((text) => text.split(".").map(Number));
  for (const [at, wantedPart] of (wantedParts ?? []).entries()) {
    const part = parts?.[at] ?? 0;
    // What is no number is no version that we know of: take it for an old one.
    if (part !== wantedPart) return !(part > wantedPart);
  }
  return false;
}
