// A run by hand (`POST /admin/functions/{name}`): timers run as if they were due; any other function without a caller
// is given the input as it is. HTTP functions have a URL of their own, and durable functions belong to their hub.

import type { FunctionEntry, Invoker } from "./function-entry.ts";
import type { Timers } from "./timers/timers.ts";

/** Starts the run without waiting for it; false when functions of this kind cannot be run by hand. */
export function runByHand(entry: FunctionEntry, input: unknown, timers: Timers, invoker: Invoker): boolean {
  if (entry.kind === "timer") return timers.runByHand(entry.name);
  if (entry.kind !== "unsupported") return false;
  const trigger = input === undefined ? {} : { string: typeof input === "string" ? input : JSON.stringify(input) };
  void invoker.invoke({ entry, trigger, reason: "run by hand" });
  return true;
}
