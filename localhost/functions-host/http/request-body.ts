// Reading a whole request body, within limits of size and patience. Deliberately unlike the real host, which gives
// functions no body at all when a request comes in chunks without a Content-Length: what arrives is delivered.

import type { IncomingMessage } from "node:http";

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** How long a client may be silent in the middle of its body. */
  readonly bodyIdleTimeoutMs: number;
}

export type BodyReading = { readonly kind: "read"; readonly body: Uint8Array | undefined } | BodyFailure;
export type BodyFailure = { readonly kind: "too-large" | "too-slow" | "aborted" };

export function announcesBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return length === undefined ? request.headers["transfer-encoding"] !== undefined : length !== "0";
}

export function announcesTooMuch(request: IncomingMessage, limits: BodyLimits): boolean {
  return Number(request.headers["content-length"] ?? "0") > limits.maxBodyBytes;
}

export function readBody(request: IncomingMessage, limits: BodyLimits): Promise<BodyReading> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const patience = setTimeout(() => finish({ kind: "too-slow" }), limits.bodyIdleTimeoutMs);
    const finish = (reading: BodyReading): void => {
      clearTimeout(patience);
      request.off("data", onData).off("end", onEnd).off("close", onClose);
      resolve(reading);
    };
    const onData = (chunk: Buffer): void => {
      sizeBytes += chunk.length;
      chunks.push(chunk);
      patience.refresh();
      if (sizeBytes > limits.maxBodyBytes) finish({ kind: "too-large" });
    };
    const onEnd = (): void => finish({ kind: "read", body: joinChunks(chunks) });
    const onClose = (): void => finish({ kind: "aborted" });
    request.on("data", onData).on("end", onEnd).on("close", onClose);
  });
}

function joinChunks(chunks: readonly Buffer[]): Uint8Array | undefined {
  if (chunks.length === 0) return undefined;
  const [only] = chunks;
  return only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks);
}
