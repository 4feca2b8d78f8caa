// An app of HTTP functions inside the test's own process: handlers are closures of the test, the library is the real
// one, and so are function table, invoker and HTTP server. Only the loading of an app folder is left out.

import Module, { createRequire } from "node:module";
import type * as azureFunctions from "@azure/functions";
import type { FunctionEntry, Invoker } from "../../localhost/functions-host/function-entry.ts";
import { buildFunctionTable } from "../../localhost/functions-host/function-table.ts";
import {
  type HttpServer,
  type HttpServerOptions,
  type ServedApp,
  startHttpServer,
} from "../../localhost/functions-host/http/http-server.ts";
import { createInvoker } from "../../localhost/functions-host/invoker.ts";
import { installWorkerState } from "../../localhost/functions-host/worker-state.ts";

type App = typeof azureFunctions.app;

const silent = { write: (): void => {} };
const worker = installWorkerState(silent);
const library = loadLibrary();

export interface TestServer extends HttpServer {
  /** What the HTTP side of the host said, a line each. */
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

export function registerFunctions(register: (app: App) => void): readonly FunctionEntry[] {
  worker.registrations.clear();
  register(library.app);
  return buildFunctionTable(worker.registrations).entries;
}

/** Fixes the app's set-up as the worker does after loading; `HttpUri` is there if the app streams. */
export async function startedCapabilities(): Promise<Record<string, string>> {
  // The library names its model with the first function.
  registerFunctions((app) => app.http("first", { handler: () => ({}) }));
  return (await worker.programmingModel?.getCapabilities({})) ?? {};
}

/** `clientBindingData`: what functions with a durable client are given to make it from. */
export function libraryInvoker(functionTimeoutMs?: number, clientBindingData = "{}"): Invoker {
  return createInvoker({ worker, log: silent, functionTimeoutMs, clientBindingData: () => clientBindingData });
}

function loadLibrary(): typeof azureFunctions {
  const require = createRequire(import.meta.url);
  const coreFile = require.resolve("../../localhost/functions-host/core-module.cjs");
  const loader = Module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string };
  const resolve = loader._resolveFilename;
  loader._resolveFilename = (name, ...rest) => (name === "@azure/functions-core" ? coreFile : resolve(name, ...rest));
  return require("@azure/functions") as typeof azureFunctions;
}
