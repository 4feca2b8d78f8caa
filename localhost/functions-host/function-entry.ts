// One function of the hosted app as the rest of the host sees it, and the port through which it is invoked.
// Built by function-table.ts from what the app registered; invoked by invoker.ts.

import type { FunctionCallback, RegisteredBinding, RegisteredMetadata, RpcTypedData } from "./rpc.ts";

export type FunctionKind = "http" | "timer" | "orchestration" | "activity" | "entity" | "unsupported";

export interface FunctionEntry {
  readonly name: string;
  readonly id: string;
  readonly kind: FunctionKind;
  readonly metadata: RegisteredMetadata;
  readonly callback: FunctionCallback;
  readonly triggerName: string;
  readonly trigger: RegisteredBinding;
  /** Names of the durable client bindings among the other inputs. */
  readonly durableClientNames: readonly string[];
}

export interface Invocation {
  readonly entry: FunctionEntry;
  readonly trigger: RpcTypedData;
  readonly triggerMetadata?: Record<string, RpcTypedData>;
  /** Given by the caller when it must be known before the call (HTTP streaming). */
  readonly invocationId?: string;
  /** Shown in the log line: "timer is past due", "POST /api/x", "orchestration 3f2a". */
  readonly reason: string;
  /** Skips `getResponse`: the caller takes the raw result (orchestrators). */
  readonly rawResult?: boolean;
  /** Replays are too many to print a line each. */
  readonly quiet?: boolean;
}

export interface InvocationResponse {
  readonly outputData: readonly { readonly name: string; readonly data: RpcTypedData }[];
  readonly returnValue?: RpcTypedData | null;
}

export type InvocationOutcome =
  | {
      readonly ok: true;
      readonly invocationId: string;
      readonly result: unknown;
      readonly response: InvocationResponse | undefined;
      /** The InvocationContext the handler got; durable's test-only id check looks into it. */
      readonly context: unknown;
    }
  | {
      readonly ok: false;
      readonly invocationId: string;
      readonly error: unknown;
      readonly timedOut: boolean;
      /** Undefined when it failed before there was one. */
      readonly context?: unknown;
    };

/** Runs one invocation to its end: hooks, timeout, function-level retries, log line. Never throws for what user code does. */
export interface Invoker {
  invoke(invocation: Invocation): Promise<InvocationOutcome>;
}
