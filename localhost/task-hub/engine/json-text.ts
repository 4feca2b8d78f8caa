// JSON text of the values that user code hands to the engine. What JSON cannot hold (circles, bigints) is a mistake of
// that code, told with the place where the value was handed over, and no fault of the host.

import { HoldfastFailure, messageOf } from "../../../src/base/failure.ts";

const NOT_JSON = "ValueNotJson";

/** Null when there is no value. `what` begins a sentence: "the result". */
export function jsonText(value: unknown, what: string): string | null {
  if (value === undefined || value === null) return null;
  try {
    return JSON.stringify(value) ?? null;
  } catch (cause) {
    const [why] = messageOf(cause).split("\n", 1);
    const message = `${what} cannot be written as JSON (${why}). Hand over plain data instead.`;
    throw new HoldfastFailure("invalid", NOT_JSON, message, { cause });
  }
}

export function isNotJson(error: unknown): error is HoldfastFailure {
  return error instanceof HoldfastFailure && error.code === NOT_JSON;
}
