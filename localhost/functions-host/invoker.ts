// Runs one invocation through the programming model, as the real worker does: arguments, hooks, the function, hooks,
// response. Adds what the host adds around it: the time limit, the log lines, and function-level retries.
// Activities come through here ten thousand times a second, so the path without hooks allocates little.

import { setTimeout as sleep } from "node:timers/promises";
import type { FunctionEntry, Invocation, InvocationOutcome, InvocationResponse, Invoker } from "./function-entry.ts";
import type { HostLog, LogLevel } from "./host-log.ts";
import { newInvocationId } from "./invocation-id.ts";
import { retryPlan } from "./retry-plan.ts";
import type { FunctionCallback, RpcTypedData } from "./rpc.ts";
import { thrownText } from "./thrown-text.ts";
import type { CoreContext, Hook, WorkerState } from "./worker-state.ts";

export interface InvokerOptions {
  readonly worker: WorkerState;
  readonly log: HostLog;
  /** Undefined: no limit. */
  readonly functionTimeoutMs: number | undefined;
  /** JSON text for durable client inputs. */
  readonly clientBindingData: () => string;
  /** Aborted when the host stops: nothing is tried again after that. */
  readonly stopping?: AbortSignal;
}

interface InputData {
  readonly name: string;
  readonly data: RpcTypedData;
}

export function createInvoker(options: InvokerOptions): Invoker {
  return new ModelInvoker(options);
}

const TIMED_OUT = Symbol("timed out");

class ModelInvoker implements Invoker {
  readonly #options: InvokerOptions;
  readonly #stopping: AbortSignal;

  constructor(options: InvokerOptions) {
    this.#options = options;
    this.#stopping = options.stopping ?? new AbortController().signal;
  }

  async invoke(invocation: Invocation): Promise<InvocationOutcome> {
    const plan = retryPlan(invocation.entry);
    if (plan === undefined) return this.#attempt(invocation, undefined);
    let exception: object | undefined;
    for (let retryCount = 0; ; retryCount++) {
      const { maxRetryCount } = plan;
      const outcome = await this.#attempt(invocation, { retryCount, maxRetryCount, ...(exception && { exception }) });
      const delayMs = outcome.ok ? undefined : plan.delayMs(retryCount + 1);
      if (outcome.ok || delayMs === undefined || this.#stopping.aborted) return outcome;
      exception = rpcException(outcome.error);
      this.#log("information", invocation.entry, `Trying again in ${delayMs} ms (retry ${retryCount + 1}).`);
      if (!(await this.#pause(delayMs))) return outcome;
    }
  }

  /** False when the host stops meanwhile. */
  async #pause(delayMs: number): Promise<boolean> {
    try {
      await sleep(delayMs, undefined, { signal: this.#stopping });
      return true;
    } catch {
      return false;
    }
  }

  async #attempt(invocation: Invocation, retryContext: object | undefined): Promise<InvocationOutcome> {
    const startedMs = performance.now();
    const invocationId = invocation.invocationId ?? newInvocationId();
    const outcome = await this.#withinTimeLimit(invocation, invocationId, retryContext);
    this.#logEnd(invocation, outcome, performance.now() - startedMs);
    return outcome;
  }

  async #withinTimeLimit(
    invocation: Invocation,
    invocationId: string,
    retryContext: object | undefined,
  ): Promise<InvocationOutcome> {
    const work = this.#run(invocation, invocationId, retryContext);
    const limitMs = this.#options.functionTimeoutMs;
    // Orchestrators run to their next step in one go: no timer could interrupt them.
    if (limitMs === undefined || invocation.entry.kind === "orchestration") return work;
    const limit = timeLimit(limitMs);
    const first = await Promise.race([work, limit.expired]);
    limit.clear();
    if (first !== TIMED_OUT) return first;
    const error = new Error(
      `Timeout value of ${limitMs / 1000} s exceeded by function '${invocation.entry.name}' (host.json functionTimeout).`,
    );
    return { ok: false, invocationId, error, timedOut: true };
  }

  async #run(
    invocation: Invocation,
    invocationId: string,
    retryContext: object | undefined,
  ): Promise<InvocationOutcome> {
    const { worker } = this.#options;
    const { entry } = invocation;
    let context: unknown;
    try {
      const core = this.#coreContext(invocation, invocationId, retryContext, () => context);
      const model = worker.programmingModel;
      if (model === undefined) throw new Error("The app did not load @azure/functions.");
      const run = model.getInvocationModel(core);
      const given = await run.getArguments();
      const { inputs } = given;
      context = given.context;
      const hasHooks = worker.hooks.preInvocation.length + worker.hooks.postInvocation.length > 0;
      if (hasHooks) return await this.#runWithHooks(invocation, core, run, context, inputs);
      core.state = "invocation";
      const result = await run.invokeFunction(context, inputs, entry.callback);
      core.state = undefined;
      const response = invocation.rawResult === true ? undefined : await run.getResponse(context, result);
      return { ok: true, invocationId, result, response: response as InvocationResponse | undefined, context };
    } catch (error) {
      return { ok: false, invocationId, error: error ?? new Error(String(error)), timedOut: false, context };
    }
  }

  async #runWithHooks(
    invocation: Invocation,
    core: CoreContext,
    run: ReturnType<NonNullable<WorkerState["programmingModel"]>["getInvocationModel"]>,
    context: unknown,
    inputs: unknown[],
  ): Promise<InvocationOutcome> {
    const { hooks, appHookData } = this.#options.worker;
    const shared = { hookData: {}, appHookData, invocationContext: context };
    const before = { ...shared, functionCallback: invocation.entry.callback, inputs };
    core.state = "preInvocationHooks";
    await runHooks(hooks.preInvocation, before);
    const after: Record<string, unknown> = { ...shared, inputs: before.inputs, result: null, error: null };
    core.state = "invocation";
    try {
      after.result = await run.invokeFunction(context, before.inputs, before.functionCallback as FunctionCallback);
    } catch (error) {
      after.error = error ?? new Error(String(error));
    }
    core.state = "postInvocationHooks";
    await runHooks(hooks.postInvocation, after);
    core.state = undefined;
    const { invocationId } = core;
    const { error, result } = after;
    if (error !== null && error !== undefined) return { ok: false, invocationId, error, timedOut: false, context };
    const response = invocation.rawResult === true ? undefined : await run.getResponse(context, result);
    return { ok: true, invocationId, result, response: response as InvocationResponse | undefined, context };
  }

  #coreContext(
    invocation: Invocation,
    invocationId: string,
    retryContext: object | undefined,
    invocationContext: () => unknown,
  ): CoreContext {
    const { entry } = invocation;
    const inputData: InputData[] = [{ name: entry.triggerName, data: invocation.trigger }];
    for (const name of entry.durableClientNames) {
      inputData.push({ name, data: { string: this.#options.clientBindingData() } });
    }
    return {
      invocationId,
      metadata: entry.metadata,
      request: {
        invocationId,
        functionId: entry.id,
        inputData,
        triggerMetadata: invocation.triggerMetadata ?? {},
        ...(retryContext !== undefined && { retryContext }),
      },
      state: undefined,
      log: (level, category, message) => {
        const said = this.#throughLogHooks(level, category, message, invocationContext());
        const suffix = category === "user" ? ".User" : "";
        this.#options.log.write(said.level, `Function.${entry.name}${suffix}`, said.message, { invocationId });
      },
    };
  }

  /** Hooks may change what the app says, but not what the library says. */
  #throughLogHooks(
    level: LogLevel,
    category: string,
    message: string,
    invocationContext: unknown,
  ): { readonly level: LogLevel; readonly message: string } {
    const { hooks, appHookData } = this.#options.worker;
    if (hooks.log.length === 0) return { level, message };
    const said = { level, category, message, invocationContext, hookData: {}, appHookData };
    for (const hook of hooks.log) hook(said);
    return category === "user" ? said : { level, message };
  }

  #logEnd({ entry, reason, quiet }: Invocation, outcome: InvocationOutcome, durationMs: number): void {
    if (quiet === true) return;
    const { invocationId } = outcome;
    const fields = {
      event: "invocation",
      function: entry.name,
      reason,
      invocationId,
      durationMs: Math.round(durationMs * 10) / 10,
    };
    if (outcome.ok) {
      this.#options.log.write("information", `Function.${entry.name}`, "Succeeded", {
        ...fields,
        outcome: "succeeded",
      });
      return;
    }
    const text = thrownText(outcome.error);
    const failed = outcome.timedOut ? "timed out" : "failed";
    this.#options.log.write("error", `Function.${entry.name}`, text, { ...fields, outcome: failed });
  }

  #log(level: LogLevel, entry: FunctionEntry, message: string): void {
    this.#options.log.write(level, `Function.${entry.name}`, message);
  }
}

function rpcException(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  return { message: error.message, source: error.name, ...(error.stack !== undefined && { stackTrace: error.stack }) };
}

async function runHooks(hooks: readonly Hook[], context: Record<string, unknown>): Promise<void> {
  for (const hook of hooks) await hook(context);
}

function timeLimit(limitMs: number): { expired: Promise<typeof TIMED_OUT>; clear(): void } {
  const { promise, resolve } = Promise.withResolvers<typeof TIMED_OUT>();
  const timer = setTimeout(() => resolve(TIMED_OUT), Math.min(limitMs, 2 ** 31 - 1));
  return { expired: promise, clear: () => clearTimeout(timer) };
}
