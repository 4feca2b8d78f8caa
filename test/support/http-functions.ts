// An app of HTTP functions inside the test's own process: registered with and invoked through the real
// @azure/functions library, served by the real HTTP server, with nothing of the worker around it.

import Module, { createRequire } from "node:module";
import { inspect } from "node:util";
import type * as azureFunctions from "@azure/functions";
import type { FunctionEntry, Invocation, Invoker } from "../../localhost/functions-host/function-entry.ts";
import {
  type HttpServer,
  type HttpServerOptions,
  type ServedApp,
  startHttpServer,
} from "../../localhost/functions-host/http/http-server.ts";
import type { FunctionCallback, RegisteredMetadata } from "../../localhost/functions-host/rpc.ts";

type App = typeof azureFunctions.app;

interface InvocationModel {
  getArguments(): Promise<{ context: object; inputs: unknown[] }>;
  invokeFunction(context: object, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(context: object, result: unknown): Promise<never>;
}

interface ProgrammingModel {
  getInvocationModel(context: object): InvocationModel;
  getCapabilities(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

const require = createRequire(import.meta.url);
const registered: { metadata: RegisteredMetadata; callback: FunctionCallback }[] = [];
let programmingModel: ProgrammingModel | undefined;
const library = loadLibrary();

export interface TestServer extends HttpServer {
  /** What the host said, a line each. */
  readonly log: readonly string[];
  readonly refused: readonly string[];
  readonly routes: readonly string[];
}

export type TestServerOptions = Partial<HttpServerOptions> & Partial<ServedApp>;

export async function serveFunctions(
  register: (app: App) => void,
  options: TestServerOptions = {},
): Promise<TestServer> {
  const log: string[] = [];
  const write = (level: string, category: string, message: string): void => {
    log.push(`${level} ${category}: ${message}`);
  };
  const entries = registerFunctions(register);
  const server = await startHttpServer({ port: 0, log: { write }, ...options });
  const served = server.serve({ entries, invoker: libraryInvoker(), routePrefix: "api", ...options });
  return {
    port: server.port,
    url: server.url,
    serve: server.serve.bind(server),
    close: server.close.bind(server),
    log,
    routes: served.routes.map(({ url, methods }) => `${methods?.join(",") ?? "any"} ${url.slice(server.url.length)}`),
    refused: served.refused.map(({ failure }) => `${failure.code}: ${failure.message}`),
  };
}

export function registerFunctions(register: (app: App) => void): FunctionEntry[] {
  registered.length = 0;
  register(library.app);
  return registered.map(({ metadata, callback }) => {
    const [triggerName, trigger] =
      Object.entries(metadata.bindings).find(([, { type }]) => /trigger$/i.test(type)) ?? [];
    if (triggerName === undefined || trigger === undefined) throw new Error(`${metadata.name} has no trigger`);
    const kind = trigger.type === "httpTrigger" ? "http" : trigger.type === "timerTrigger" ? "timer" : "unsupported";
    return {
      name: metadata.name,
      id: metadata.name,
      kind,
      metadata,
      callback,
      triggerName,
      trigger,
      durableClientNames: [],
    };
  });
}

/** Fixes the app's set-up as the worker does after loading; the address of the streaming server, if the app wants it. */
export async function startedCapabilities(): Promise<Record<string, string>> {
  // The library names its model with the first function.
  registerFunctions((app) => app.http("first", { handler: () => ({}) }));
  return await model().getCapabilities({});
}

export function libraryInvoker(timeoutMs?: number): Invoker {
  let count = 0;
  return {
    async invoke({ entry, trigger, triggerMetadata = {}, ...invocation }: Invocation) {
      count += 1;
      const { invocationId = `invocation-${count}` } = invocation;
      const inputData = [{ name: entry.triggerName, data: trigger }];
      const request = { invocationId, functionId: entry.id, inputData, triggerMetadata };
      const model_ = model().getInvocationModel({ invocationId, metadata: entry.metadata, request, log: () => {} });
      const run = async (): Promise<{ result: unknown; response: never; context: object }> => {
        const { context, inputs } = await model_.getArguments();
        const result = await model_.invokeFunction(context, inputs, entry.callback);
        return { result, response: await model_.getResponse(context, result), context };
      };
      try {
        return { ok: true, invocationId, ...(await (timeoutMs === undefined ? run() : within(timeoutMs, run()))) };
      } catch (error) {
        return { ok: false, invocationId, error, timedOut: error === TIMED_OUT };
      }
    },
  };
}

const TIMED_OUT = new Error("timed out");

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const bound = Promise.withResolvers<never>();
  const timer = setTimeout(() => bound.reject(TIMED_OUT), timeoutMs);
  return Promise.race([work, bound.promise]).finally(() => clearTimeout(timer));
}

function model(): ProgrammingModel {
  if (programmingModel === undefined) throw new Error("the library has set no programming model");
  return programmingModel;
}

function loadLibrary(): typeof azureFunctions {
  const core = {
    version: "3.0.0",
    hostVersion: "4.0.0",
    Disposable: class {},
    registerHook: () => ({ dispose() {} }),
    registerFunction: (metadata: RegisteredMetadata, callback: FunctionCallback) => {
      registered.push({ metadata, callback });
      return { dispose() {} };
    },
    setProgrammingModel: (given: ProgrammingModel) => {
      programmingModel = given;
    },
    getProgrammingModel: () => programmingModel,
    log: (level: string, _category: string, message: string) => {
      if (level === "error") throw new Error(`the library complains: ${inspect(message)}`);
    },
  };
  const path = "/@azure/functions-core";
  const fake = new Module(path);
  fake.loaded = true;
  fake.exports = core;
  require.cache[path] = fake;
  const loader = Module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string };
  const resolve = loader._resolveFilename;
  loader._resolveFilename = (name, ...rest) => (name === "@azure/functions-core" ? path : resolve(name, ...rest));
  return require("@azure/functions") as typeof azureFunctions;
}
