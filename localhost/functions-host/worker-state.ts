// What the app registers while it loads: functions, hooks, the programming model. One for each process, on the global
// object, because the app's module cache is one for each process too and core-module.cjs must find it.

import { assert } from "../../src/base/assert.ts";
import type { HostLog, LogLevel } from "./host-log.ts";
import type { FunctionCallback, RegisteredMetadata } from "./rpc.ts";

const STATE_KEY = Symbol.for("holdfast.functions-host.worker");
export const HOST_VERSION = "4.1044.0";

export type HookName = "preInvocation" | "postInvocation" | "appStart" | "appTerminate" | "log";
export type Hook = (context: Record<string, unknown>) => unknown;

export interface Registration {
  readonly metadata: RegisteredMetadata;
  readonly callback: FunctionCallback;
}

/** The parts of `@azure/functions` that the host calls. */
export interface ProgrammingModel {
  readonly name: string;
  readonly version: string;
  getInvocationModel(coreContext: CoreContext): InvocationModel;
  getCapabilities(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

export interface CoreContext {
  readonly invocationId: string;
  readonly metadata: RegisteredMetadata;
  readonly request: Record<string, unknown>;
  state: "preInvocationHooks" | "invocation" | "postInvocationHooks" | undefined;
  log(level: LogLevel, category: string, message: string): void;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<unknown>;
}

export class WorkerState {
  readonly workerVersion = "3.12.0";
  readonly hostVersion: string = HOST_VERSION;
  readonly registrations = new Map<string, Registration>();
  readonly hooks: Readonly<Record<HookName, Hook[]>> = {
    preInvocation: [],
    postInvocation: [],
    appStart: [],
    appTerminate: [],
    log: [],
  };
  readonly appHookData: Record<string, unknown> = {};
  programmingModel: ProgrammingModel | undefined;
  #locked = false;
  #hostLog: HostLog;

  constructor(hostLog: HostLog) {
    this.#hostLog = hostLog;
  }

  lock(): void {
    this.#locked = true;
  }

  registerFunction(metadata: RegisteredMetadata, callback: FunctionCallback): () => void {
    if (this.#locked) {
      throw systemError(`A function can only be registered during app startup: '${metadata.name}' comes too late.`);
    }
    const key = metadata.functionId ?? metadata.name;
    if (this.registrations.has(key)) throw systemError(`A function with id '${key}' has already been registered.`);
    this.registrations.set(key, { metadata, callback });
    return () => {
      if (this.#locked) throw systemError("A function can only be disposed during app startup.");
      this.registrations.delete(key);
    };
  }

  setProgrammingModel(model: ProgrammingModel): void {
    if (this.#locked) throw systemError("The programming model can only be set during app startup.");
    // Each copy of the library in the app's tree sets its own; the shapes are compatible and the last one wins.
    this.programmingModel = model;
  }

  registerHook(name: string, hook: Hook): () => void {
    if (!Object.hasOwn(this.hooks, name))
      throw Object.assign(new RangeError(`Unrecognized hook "${name}"`), SYSTEM_ERROR);
    const hooks = this.hooks[name as HookName];
    hooks.push(hook);
    return () => {
      const index = hooks.indexOf(hook);
      if (index >= 0) hooks.splice(index, 1);
    };
  }

  /** What the library itself has to say, outside of invocations. */
  log(level: LogLevel, category: string, message: string): void {
    this.#hostLog.write(level, category === "user" ? "Function.User" : "Worker", message);
  }
}

const SYSTEM_ERROR = { isAzureFunctionsSystemError: true };

function systemError(message: string): Error {
  return Object.assign(new Error(message), SYSTEM_ERROR);
}

export function installWorkerState(hostLog: HostLog): WorkerState {
  assert(!Object.hasOwn(globalThis, STATE_KEY), "one app for each process");
  const state = new WorkerState(hostLog);
  Object.defineProperty(globalThis, STATE_KEY, { value: state });
  return state;
}
