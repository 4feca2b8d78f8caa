// Handing a request on to a resource provider, with the headers that tell it how the client sees ARM. Bodies are streamed both
// ways as they come; status, links and all other headers of the answer are the provider's own.
import { request as startRequest } from "node:http";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, headerOf } from "../http/call.ts";

const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
]);

export function forward(call: Call, upstream: string): Promise<Answer> {
  const origin = new URL(call.origin);
  const headers = Object.fromEntries(Object.entries(call.headers).filter(([name]) => !HOP_BY_HOP.has(name)));
  const target = new URL(upstream);
  const prefix = target.pathname.replace(/\/$/, "");
  const { socket } = call.raw;
  return new Promise((resolve, reject) => {
    const outgoing = startRequest(
      {
        host: target.hostname,
        port: target.port,
        method: call.method,
        path: prefix + call.url,
        headers: {
          ...headers,
          host: target.host,
          "x-forwarded-host": origin.host,
          "x-forwarded-proto": origin.protocol.replace(":", ""),
          "x-forwarded-for": [headerOf(call, "x-forwarded-for"), socket.remoteAddress ?? "127.0.0.1"]
            .filter((address) => address !== undefined)
            .join(", "),
        },
      },
      (incoming) => {
        const answered = Object.fromEntries(
          Object.entries(incoming.headers).flatMap(([name, value]) =>
            HOP_BY_HOP.has(name) || value === undefined ? [] : [[name, String(value)]],
          ),
        );
        resolve({ status: incoming.statusCode ?? 502, headers: answered, body: incoming });
      },
    );
    // A client that goes away must not leave a stream running that nobody reads.
    const hangUp = () => outgoing.destroy();
    socket.once("close", hangUp);
    outgoing.once("close", () => socket.off("close", hangUp));
    outgoing.once("error", () =>
      reject(new AzureError(502, "BadGateway", "The resource provider 'Microsoft.RecoveryServices' did not answer.")),
    );
    call.raw.pipe(outgoing);
  });
}
