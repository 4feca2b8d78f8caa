// The value shapes that cross between the host and the Node programming model (`@azure/functions`), as the real
// host sends and receives them. Types only: no behaviour lives here.

export interface RpcTypedData {
  readonly string?: string;
  readonly json?: string;
  readonly bytes?: Uint8Array;
  readonly int?: number;
  readonly double?: number;
  readonly http?: RpcHttpRequest | RpcHttpResponse;
}

export interface RpcHttpRequest {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly params?: Record<string, string>;
  readonly body?: RpcTypedData;
}

export interface RpcHttpCookie {
  readonly name: string;
  readonly value: string;
  readonly domain?: { readonly value: string };
  readonly path?: { readonly value: string };
  readonly expires?: { readonly value: { readonly seconds: number | string } };
  readonly secure?: { readonly value: boolean };
  readonly httpOnly?: { readonly value: boolean };
  readonly sameSite?: "none" | "lax" | "strict" | "explicitNone";
  readonly maxAge?: { readonly value: number };
}

export interface RpcHttpResponse {
  readonly statusCode?: string;
  readonly headers?: Record<string, string>;
  readonly cookies?: readonly RpcHttpCookie[];
  readonly enableContentNegotiation?: boolean;
  readonly body?: RpcTypedData;
}

/** What a function registered: the trigger and the other bindings, by their generated names. */
export interface RegisteredMetadata {
  readonly name: string;
  readonly functionId?: string;
  readonly bindings: Record<string, RegisteredBinding>;
  readonly retryOptions?: RegisteredRetryOptions;
}

export interface RegisteredBinding {
  readonly type: string;
  readonly direction: "in" | "out" | "inout";
  readonly [option: string]: unknown;
}

export interface RegisteredRetryOptions {
  readonly retryStrategy: "fixedDelay" | "exponentialBackoff";
  readonly maxRetryCount: number;
  readonly delayInterval?: { readonly seconds: number };
  readonly minimumInterval?: { readonly seconds: number };
  readonly maximumInterval?: { readonly seconds: number };
}

export type FunctionCallback = (...args: unknown[]) => unknown;
