// What Azure's clients throw, as failures of ours: one kind for each way out that a caller has. What no retry cures keeps
// Azure's own code and message, which people search for; what one may cure has a code of ours, and the wait Azure asks for.
//
// An address of a disk carries the right to read it, and clients put addresses, headers and bodies into what they throw.
// So nothing of theirs is passed on but cleaned text: no object of a client is ever the cause of a failure.

import { type FailureKind, HoldfastFailure } from "../base/failure.ts";

/** What Azure said, or that it said nothing. */
export interface AzureError {
  /** Undefined when no answer came, or no whole one. */
  readonly status: number | undefined;
  /** Azure's, or without an answer that of whoever waited for one. */
  readonly code: string | undefined;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

/** A code of the caller's own for some kinds, and a message in the place of Azure's. */
export type FailureWords = Partial<Record<FailureKind, { readonly code: string; readonly message?: string }>>;

/** Does something with Azure; what that throws comes out as a failure about `what`. */
export async function asked<Answer>(what: string, work: () => PromiseLike<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (thrown) {
    throw failureOf(thrown, what);
  }
}

/** The same, but what is not there is undefined. */
export async function found<Answer>(what: string, work: () => PromiseLike<Answer>): Promise<Answer | undefined> {
  try {
    return await work();
  } catch (thrown) {
    const error = azureErrorOf(thrown);
    if (error?.status === 404) return undefined;
    throw failureOf(thrown, what);
  }
}

/** A subscription that never used a service, or cannot any more, has nothing of its kind. */
export function isAbsentProvider(thrown: unknown): boolean {
  const { status, code = "" } = azureErrorOf(thrown) ?? {};
  return (
    status !== undefined &&
    status < 500 &&
    /^(?:MissingSubscriptionRegistration|InvalidResource\w+|NoRegisteredProviderFound)$/.test(code)
  );
}

/** A failure for what Azure's clients throw; what they never do is a bug of ours, and comes back as it is. */
export function failureOf(thrown: unknown, what: string, words: FailureWords = {}): unknown {
  const error = azureErrorOf(thrown);
  if (error === undefined) return thrown;
  const kind = kindOf(error);
  const own = words[kind];
  const said = `${error.message}${error.code === undefined ? "" : ` (${error.code})`}`;
  return new HoldfastFailure(kind, own?.code ?? codeOf(kind, error), own?.message ?? `${what}: ${said}`, {
    cause: cleaned(thrown, said),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  });
}

export function azureErrorOf(thrown: unknown): AzureError | undefined {
  if (thrown instanceof HoldfastFailure || !(thrown instanceof Error)) return undefined;
  return failedOperation(thrown) ?? silence(thrown) ?? answer(thrown);
}

/** An operation that was accepted and failed later: its poller knows no more than this text. */
function failedOperation(thrown: Error): AzureError | undefined {
  const match = /^The long-running operation has failed(?:\. ([A-Za-z]\w*)\. ([\s\S]*))?/.exec(thrown.message);
  if (match === null) return undefined;
  const [, code, message = "the operation failed"] = match;
  const status = code === undefined || OURS_TO_REPEAT.test(code) ? 500 : 409;
  return { status, code, message: firstLine(message), retryAfterMs: undefined };
}

/** Codes with which an operation fails through no fault of who asked for it. */
const OURS_TO_REPEAT = /^(?:Internal\w*|OperationPreempted|OperationTimedOut|ServiceUnavailable|RetryableError)$/;

/** Errors of sockets and name service, of a body that ended early, of a wait that took too long, and of a missing token. */
const NO_ANSWER =
  /^(?:E[A-Z]{3,}|REQUEST_SEND_ERROR|PARSE_ERROR|ERR_STREAM_PREMATURE_CLOSE|UND_ERR_\w+|ABORT_ERR|AbortError|TimeoutError)$/;
const NO_TOKEN = /^(?:AuthenticationError|CredentialUnavailableError|AuthenticationRequiredError)$/;

function silence(thrown: Error): AzureError | undefined {
  const { name, code, statusCode } = thrown as Error & { readonly code?: unknown; readonly statusCode?: unknown };
  const nothing = { status: undefined, code: typeof code === "string" ? code : name, retryAfterMs: undefined };
  if (NO_TOKEN.test(name)) return { ...nothing, message: `no token was to be had: ${firstLine(thrown.message)}` };
  // The text of a parse error holds the body, whatever that is.
  if (code === "PARSE_ERROR") return { ...nothing, message: "the answer did not arrive whole" };
  if (NO_ANSWER.test(name) || thrown.message.startsWith("Stream drains before"))
    return { ...nothing, message: "the answer did not arrive whole, or not in time" };
  if (typeof statusCode === "number") return undefined;
  if (typeof code === "string" && NO_ANSWER.test(code)) return { ...nothing, message: firstLine(thrown.message) };
  return name === "RestError" ? { ...nothing, message: firstLine(thrown.message) } : undefined;
}

interface ClientError {
  readonly statusCode?: unknown;
  readonly code?: unknown;
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

function answer(thrown: Error): AzureError | undefined {
  const { statusCode, code, response } = thrown as ClientError;
  if (typeof statusCode !== "number") return undefined;
  return {
    status: statusCode,
    code: typeof code === "string" && code !== "" ? code : (response?.headers?.get("x-ms-error-code") ?? undefined),
    message: firstLine(thrown.message),
    retryAfterMs: retryAfterMsOf(response?.headers?.get("retry-after")),
  };
}

/** Retry-After holds seconds, or a date. */
export function retryAfterMsOf(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  const waitMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

function kindOf({ status, code }: AzureError): FailureKind {
  if (status === 429 || code === "ServerBusy") return "throttled";
  if (status === undefined || status >= 500 || status === 408 || status < 400) return "unavailable";
  if (status === 401 || status === 403) return "denied";
  if (status === 404 || status === 410) return "not-found";
  return status === 409 || status === 412 ? "conflict" : "invalid";
}

function codeOf(kind: FailureKind, { code }: AzureError): string {
  if (kind === "throttled") return "HoldfastAzureBusy";
  if (kind === "unavailable") return "HoldfastAzureUnavailable";
  return code ?? "HoldfastAzureRefused";
}

function cleaned(thrown: unknown, said: string): Error {
  const { name, stack = "" } = thrown as Error;
  const cause = new Error(said);
  cause.name = name;
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  cause.stack = [`${name}: ${said}`, ...frames.map(withoutSecrets)].join("\n");
  return cause;
}

function firstLine(text: string): string {
  return withoutSecrets(text.split(/[\r\n]/)[0] ?? "").slice(0, 500);
}

/** Signatures and tokens have no business in a text, whole queries that hold one neither. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/(?:\?|%3F)[^\s"'<>]*sig(?:=|%3D)[^\s"'<>]*/gi, "?…")
    .replaceAll(/sig(?:=|%3D)[^\s"'<>&]*/gi, "…")
    .replaceAll(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, "…");
}
