// What goes wrong on purpose: rules (which requests, which fault, how often, from which seed) and counts of what was
// injected. Rules come from the estate file and the control endpoint and are kept; each rule draws from its own sequence,
// so one rule's run repeats whatever the other rules do.
import { z } from "zod";
import type { OperationFailure } from "../arm/operations.ts";
import { sequence } from "../disks/generated-content.ts";
import type { Call } from "../http/call.ts";
import type { AzureState } from "../state/azure-state.ts";

const kind = <Name extends string>(name: Name) => z.literal(name);

export const faultSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: kind("throttle"), retryAfterSeconds: z.number().int().min(0).max(3600).default(1) }),
  z.strictObject({ kind: kind("error"), status: z.union([z.literal(500), z.literal(503)]).default(503) }),
  z.strictObject({ kind: kind("latency"), latencyMs: z.number().int().min(0).max(600_000) }),
  /** The connection closes before anything was done. */
  z.strictObject({ kind: kind("drop") }),
  /** Half of the answer's body arrives, then the connection closes. */
  z.strictObject({ kind: kind("truncate") }),
  /** The request succeeds; the connection closes instead of the answer. */
  z.strictObject({ kind: kind("lost-answer") }),
  /** The snapshot, restore point or disk the request names is deleted first, whatever uses it. */
  z.strictObject({ kind: kind("snapshot-vanishes") }),
  /** The request is accepted; the operation it starts fails when its time is over. What it was to make is there as Failed. */
  z.strictObject({
    kind: kind("operation-fails"),
    code: z.string().min(1).default("InternalExecutionError"),
    message: z.string().default("An internal execution error occurred. Please retry later."),
  }),
  /** Of the time a SAS was asked for, only this share is granted; its owner is not told. */
  z.strictObject({ kind: kind("sas-expires-early"), share: z.number().min(0).max(1).default(0) }),
  /** Azure's clock is wrong by this much while the rule stands; probability does not apply. */
  z.strictObject({ kind: kind("clock-skew"), skewSeconds: z.number() }),
]);

const pattern = z.string().refine(isPattern, "Not a regular expression");

export const faultRuleSchema = z.strictObject({
  name: z.string().min(1),
  fault: faultSchema,
  /** The surface: arm, blob, identity, keys; all if absent. */
  surface: z.string().optional(),
  /** Regular expression on the operation's name, for example `disks/beginGetAccess`. */
  operation: pattern.optional(),
  /** Regular expression on path and query. */
  url: pattern.optional(),
  probability: z.number().min(0).max(1).default(1),
  seed: z.number().int().default(1),
  /** At most so often. */
  times: z.number().int().positive().optional(),
});

export type Fault = z.infer<typeof faultSchema>;
export type FaultRule = z.infer<typeof faultRuleSchema>;

interface LiveRule {
  readonly rule: FaultRule;
  readonly draw: () => number;
  injected: number;
}

const KEY = "fault/";

export class FaultPlan {
  readonly #rules = new Map<string, LiveRule>();
  readonly #shortened = new WeakMap<Call, number>();
  readonly #failing = new WeakMap<Call, OperationFailure>();

  constructor(state: AzureState) {
    state.watch((key, value) => {
      if (!key.startsWith(KEY)) return;
      if (value === undefined) this.#rules.delete(key);
      else {
        const rule = value as FaultRule;
        this.#rules.set(key, { rule, draw: sequence(rule.seed), injected: 0 });
      }
    });
  }

  static key(name: string): string {
    return `${KEY}${name}`;
  }

  faultsFor(surface: string, operation: string, call: Call): Fault[] {
    const faults: Fault[] = [];
    for (const live of this.#rules.values()) {
      const { rule } = live;
      if (rule.fault.kind === "clock-skew" || !applies(rule, surface, operation, call)) continue;
      if (rule.times !== undefined && live.injected >= rule.times) continue;
      if (live.draw() / 2 ** 32 >= rule.probability) continue;
      live.injected += 1;
      faults.push(rule.fault);
    }
    return faults;
  }

  /** Access granted by this request lasts only this share of what it asks. */
  shorten(call: Call, share: number): void {
    this.#shortened.set(call, share);
  }

  grantedShare(call: Call): number {
    return this.#shortened.get(call) ?? 1;
  }

  /** The operation that this request starts fails. */
  failOperation(call: Call, failure: OperationFailure): void {
    this.#failing.set(call, failure);
  }

  operationFault(call: Call): OperationFailure | undefined {
    return this.#failing.get(call);
  }

  skewMs(): number {
    let seconds = 0;
    for (const { rule } of this.#rules.values())
      if (rule.fault.kind === "clock-skew") seconds += rule.fault.skewSeconds;
    return seconds * 1000;
  }

  /** Every rule with how often it struck. */
  report(): { rule: FaultRule; injected: number }[] {
    return [...this.#rules.values()].map(({ rule, injected }) => ({ rule, injected }));
  }
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

function applies(rule: FaultRule, surface: string, operation: string, call: Call): boolean {
  if (rule.surface !== undefined && rule.surface !== surface) return false;
  if (rule.operation !== undefined && !new RegExp(rule.operation, "i").test(operation)) return false;
  return rule.url === undefined || new RegExp(rule.url, "i").test(call.url);
}
