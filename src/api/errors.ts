// Failures as ARM's answers: one table from the kind of a failure to a status, and the few codes that clients expect under
// another. What is no failure of ours is a bug: its caller learns the request id, and nothing of the inside.

import { type FailureKind, HoldfastFailure } from "../base/failure.ts";

export interface ErrorAnswer {
  readonly status: number;
  readonly body: { readonly error: ArmError };
  readonly headers: Readonly<Record<string, string>>;
}

interface ArmError {
  readonly code: string;
  readonly message: string;
  readonly target: string | null;
  readonly details: null;
  readonly innerError: null;
}

const STATUS_OF_KIND: Readonly<Record<FailureKind, number>> = {
  invalid: 400,
  denied: 403,
  "not-found": 404,
  conflict: 409,
  throttled: 429,
  unavailable: 503,
  corrupt: 500,
  cancelled: 409,
};

const STATUS_OF_CODE: ReadonlyMap<string, number> = new Map([
  ["AuthenticationFailed", 401],
  ["InvalidAuthenticationToken", 401],
  ["InvalidAuthenticationTokenAudience", 401],
  ["InvalidAuthenticationTokenTenant", 401],
  ["ExpiredAuthenticationToken", 401],
  ["MethodNotAllowed", 405],
  ["RequestEntityTooLarge", 413],
  ["BMSUserErrorPolicyInUse", 400],
]);

/** Where nothing else is known: long enough for a throttled store to recover, short enough for somebody who waits. */
const RETRY_AFTER_SECONDS = 5;

export function isInternal(thrown: unknown): boolean {
  return !(thrown instanceof HoldfastFailure) || thrown.kind === "corrupt";
}

export function errorAnswer(thrown: unknown, requestId: string, authorityUrl: string): ErrorAnswer {
  if (!(thrown instanceof HoldfastFailure)) {
    const message = `The service failed to answer. Whoever runs it finds the reason under the request id ${requestId}.`;
    return { status: 500, body: bodyOf("CloudInternalError", message), headers: {} };
  }
  const status = STATUS_OF_CODE.get(thrown.code) ?? STATUS_OF_KIND[thrown.kind];
  return { status, body: bodyOf(thrown.code, textOf(thrown)), headers: headersFor(status, thrown, authorityUrl) };
}

function bodyOf(code: string, message: string): ErrorAnswer["body"] {
  return { error: { code, message, target: null, details: null, innerError: null } };
}

/** Clients show code and message alone, so what to do about it belongs into the message. */
export function textOf({ message, hint }: HoldfastFailure): string {
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return hint === undefined ? sentence : `${sentence} ${hint}`;
}

function headersFor(status: number, failure: HoldfastFailure, authorityUrl: string): Record<string, string> {
  if (status === 429 || status === 503) return { "Retry-After": String(retryAfterSecondsOf(failure)) };
  if (status !== 401) return {};
  const error =
    failure.code === "AuthenticationFailed"
      ? ""
      : `, error="invalid_token", error_description="${failure.message.replaceAll(/[^ !#-[\]-~]/g, "'")}"`;
  return { "WWW-Authenticate": `Bearer authorization_uri="${authorityUrl}"${error}` };
}

/** Whoever throttles us may have said how long: there is no use in coming sooner. */
function retryAfterSecondsOf({ retryAfterMs }: HoldfastFailure): number {
  return retryAfterMs === undefined ? RETRY_AFTER_SECONDS : Math.max(1, Math.ceil(retryAfterMs / 1000));
}
