// The HTTP server of the embedded host: sockets, patience and limits. It listens before the app is loaded, because the
// app wants to know its port while loading; requests that come early wait for `serve`. It is bound to loopback unless
// told otherwise. What no parser understands, and headers that are too large or too slow, Node itself refuses with a 4xx
// and ends the connection; bodies are bounded in request-body.ts.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { DurableApi } from "../../task-hub/hub-api.ts";
import type { FunctionEntry, Invoker } from "../function-entry.ts";
import type { HostLog } from "../host-log.ts";
import type { AdminApi } from "./admin-api.ts";
import { type CorsSettings, corsHeaders, planCors } from "./cors.ts";
import { type Exchange, send, sendEmpty } from "./exchange.ts";
import type { HostKeys } from "./host-keys.ts";
import { handleRequest, type LoadedApp, type RequestRules } from "./request-handler.ts";
import { isUsableHost, parseRequestTarget } from "./request-target.ts";
import { planRoutes, type RefusedRoute, type Route } from "./router.ts";
import { openStreamingProxy } from "./streaming.ts";

export interface HttpServerOptions {
  /** Default: 127.0.0.1, reachable from this machine alone. */
  readonly host?: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: HostLog;
  readonly cors?: CorsSettings;
  /** Given: `authLevel` is enforced (--enable-auth). */
  readonly keys?: HostKeys;
  readonly limits?: Partial<HttpLimits>;
}

export interface HttpLimits {
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  /** How long an idle connection is kept for the next request. */
  readonly keepAliveTimeoutMs: number;
}

/** What is served, known once the app is loaded. */
export interface ServedApp {
  /** All functions; those with an HTTP trigger get routes, the admin addresses tell of all. */
  readonly entries: readonly FunctionEntry[];
  readonly invoker: Invoker;
  /** host.json `extensions.http.routePrefix`. */
  readonly routePrefix: string;
  readonly durableApi?: DurableApi;
  readonly admin?: AdminApi;
  /** Given when the app enabled HTTP streaming: the capability `HttpUri`. */
  readonly streaming?: { readonly httpUri: string };
}

export interface ServedRoute {
  readonly entry: FunctionEntry;
  /** Undefined: any. */
  readonly methods: readonly string[] | undefined;
  /** With the template in it: `http://127.0.0.1:7071/api/items/{id}`. */
  readonly url: string;
}

export interface HttpServer {
  readonly port: number;
  readonly url: string;
  /** Answers from now on, requests that waited included. Routes that cannot be served are logged, and returned. */
  serve(app: ServedApp): { readonly routes: readonly ServedRoute[]; readonly refused: readonly RefusedRoute[] };
  /** Takes no new requests, lets running ones finish within the time given, then closes every connection. */
  close(graceMs?: number): Promise<void>;
}

/** Body: what the real host allows. The rest: Kestrel's. */
const DEFAULT_LIMITS: HttpLimits = {
  maxBodyBytes: 104_857_600,
  maxHeaderBytes: 32_768,
  headersTimeoutMs: 30_000,
  bodyIdleTimeoutMs: 60_000,
  keepAliveTimeoutMs: 130_000,
};
const DEFAULT_GRACE_MS = 10_000;

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const host = options.host ?? "127.0.0.1";
  const server = createHttpServer(limits);
  const port = await listen(server, host, options.port, options.log);
  return new ListeningServer(server, `http://${authorityOf(host, port)}`, port, limits, options);
}

class ListeningServer implements HttpServer {
  readonly port: number;
  readonly url: string;
  readonly #server: Server;
  readonly #limits: HttpLimits;
  readonly #rules: RequestRules;
  readonly #loading = Promise.withResolvers<LoadedApp | undefined>();
  readonly #drained = Promise.withResolvers<void>();
  #app: LoadedApp | undefined;
  #running = 0;
  #closed: Promise<void> | undefined;

  constructor(server: Server, url: string, port: number, limits: HttpLimits, options: HttpServerOptions) {
    this.url = url;
    this.port = port;
    this.#server = server;
    this.#limits = limits;
    this.#rules = { log: options.log, cors: options.cors && planCors(options.cors), keys: options.keys };
    server.on("request", (request, response) => this.#receive(request, response, false));
    server.on("checkContinue", (request, response) => this.#receive(request, response, true));
  }

  serve(served: ServedApp): { readonly routes: readonly ServedRoute[]; readonly refused: readonly RefusedRoute[] } {
    const { entries, invoker, durableApi, admin, streaming } = served;
    const { routes, refused } = planRoutes(entries, served.routePrefix);
    for (const { failure, entry } of refused) {
      const advice = failure.hint === undefined ? "" : ` ${failure.hint}`;
      this.#rules.log.write("error", `Function.${entry.name}`, `Not served: ${failure.message}.${advice}`);
    }
    const streamingProxy = streaming && openStreamingProxy(streaming.httpUri);
    this.#app = { entries, routes, invoker, durableApi, admin, streamingProxy };
    this.#loading.resolve(this.#app);
    return { routes: routes.map((route) => this.#describe(route)), refused };
  }

  close(graceMs = DEFAULT_GRACE_MS): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    this.#loading.resolve(undefined);
    return this.#closed;
  }

  #receive(request: IncomingMessage, response: ServerResponse, awaitsContinue: boolean): void {
    this.#running += 1;
    response.on("close", () => {
      this.#running -= 1;
      if (this.#running === 0 && this.#closed !== undefined) this.#drained.resolve();
    });
    const exchange = this.#readHead(request, response, awaitsContinue);
    if (exchange === undefined) return;
    if (this.#app !== undefined) void this.#answer(exchange, this.#app);
    else void this.#loading.promise.then((app) => this.#answer(exchange, app));
  }

  /** Undefined: what came is no request to answer to, and has been refused. */
  #readHead(request: IncomingMessage, response: ServerResponse, awaitsContinue: boolean): Exchange | undefined {
    const { cors } = this.#rules;
    const { origin } = request.headers;
    const host = request.headers.host || `localhost:${this.port}`;
    const target = parseRequestTarget(request.url ?? "");
    if (target === undefined || !isUsableHost(host)) {
      response.writeHead(400, ["content-length", "0", "connection", "close"]).end();
      return undefined;
    }
    return {
      request,
      response,
      method: request.method ?? "GET",
      host,
      target,
      limits: this.#limits,
      corsHeaders: cors && origin ? corsHeaders(cors, origin) : [],
      awaitsContinue,
      isClosing: () => this.#closed !== undefined,
    };
  }

  async #answer(exchange: Exchange, app: LoadedApp | undefined): Promise<void> {
    if (exchange.response.destroyed) return;
    if (app === undefined || this.#closed !== undefined) return send(exchange, STOPPING);
    try {
      await handleRequest(exchange, app, this.#rules);
    } catch (thrown) {
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      const { method, target, response } = exchange;
      this.#rules.log.write("error", "Host", `${method} ${target.rawPath} failed in the host itself: ${text}`);
      if (response.headersSent) response.destroy();
      else sendEmpty(exchange, 500);
    }
  }

  #describe({ entry, methods, template }: Route): ServedRoute {
    return { entry, methods, url: `${this.url}/${template.text.replace(/^\/+/, "")}` };
  }

  async #close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (this.#running > 0) {
      const patience = setTimeout(() => this.#drained.resolve(), graceMs);
      await this.#drained.promise;
      clearTimeout(patience);
    }
    this.#server.closeAllConnections();
    this.#app?.streamingProxy?.agent.destroy();
    await closed;
  }
}

const STOPPING = { status: 503, headers: ["content-length", "0", "retry-after", "1"], body: undefined };

function createHttpServer(limits: HttpLimits): Server {
  const server = createServer({
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    // A large upload may take as long as it flows: silence is what is bounded (request-body.ts).
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(5_000, limits.headersTimeoutMs),
  });
  // Node would drop further headers without a word; their size is bounded anyway.
  server.maxHeadersCount = 0;
  server.on("connect", (_request, socket: Duplex) =>
    socket.end("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n\r\n"),
  );
  return server;
}

function listen(server: Server, host: string, port: number, log: HostLog): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(explainListening(cause, host, port)));
    server.listen({ host, port }, () => {
      server.removeAllListeners("error");
      // A connection that could not be taken (too many open files) is no reason to end the host.
      server.on("error", (error) => log.write("error", "Host", `A connection was lost: ${error.message}`));
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function explainListening(cause: NodeJS.ErrnoException, host: string, port: number): HoldfastFailure {
  const where = authorityOf(host, port);
  if (cause.code === "EADDRINUSE") {
    return new HoldfastFailure("conflict", "PortInUse", `Something else listens on ${where} already`, {
      hint: "Stop it, or choose another port with --port; --port 0 takes any free one.",
      cause,
    });
  }
  if (cause.code === "EACCES") {
    return new HoldfastFailure("denied", "PortDenied", `This user may not listen on ${where}`, {
      hint: "Ports below 1024 are often reserved: choose a higher one with --port.",
      cause,
    });
  }
  return new HoldfastFailure("invalid", "CannotListen", `Cannot listen on ${where}: ${cause.message}`, { cause });
}

function authorityOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
