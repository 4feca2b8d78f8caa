// The ids of a request, as ARM answers them: its own, the one that ties it to the caller's other requests, and the
// client's own, handed back.

import type { Random } from "../ports/clock.ts";

export interface RequestIds {
  readonly requestId: string;
  readonly headers: Readonly<Record<string, string>>;
}

const TOKEN = /^[\w.:{}-]{1,128}$/;

export function requestIdsOf(headers: Headers, random: Random): RequestIds {
  const requestId = uuidOf(random.bytes(16));
  const correlationId = acceptable(headers.get("x-ms-correlation-request-id")) ?? requestId;
  const clientId = acceptable(headers.get("x-ms-client-request-id"));
  return {
    requestId,
    headers: {
      "x-ms-request-id": requestId,
      "x-ms-correlation-request-id": correlationId,
      ...(clientId !== undefined && { "x-ms-client-request-id": clientId }),
    },
  };
}

const acceptable = (id: string | null): string | undefined => (id !== null && TOKEN.test(id) ? id : undefined);

function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
