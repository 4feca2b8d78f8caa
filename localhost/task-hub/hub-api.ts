// What the task hub shows to the HTTP side of the host: the durable management API as plain requests and responses,
// and the data of the durable client binding. Implemented by task-hub.ts; the HTTP server only carries bytes.

export interface ApiRequest {
  readonly method: string;
  /** Relative to the API's base, without a leading slash: `instances/abc/raiseEvent/go`, still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
  /** Scheme and authority the caller used, for links in answers: `http://127.0.0.1:7071`. */
  readonly origin: string;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface DurableApi {
  handle(request: ApiRequest): Promise<ApiResponse>;
  /** JSON text for a `durableClient` input. */
  clientBindingData(): string;
}

/** Where the durable API is served, after the origin. Both the management links and `rpcBaseUrl` point here. */
export const DURABLE_API_PATH = "/runtime/webhooks/durabletask/";
