// The API behind a real HTTP server, and the official clients against it, set up as their users would for plain http.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { RecoveryServicesClient } from "@azure/arm-recoveryservices";
import { RecoveryServicesBackupClient } from "@azure/arm-recoveryservicesbackup";
import type { Api } from "../../src/api/app.ts";

export interface ServedApi {
  readonly url: string;
  close(): Promise<void>;
}

export async function serveApi(api: () => Api): Promise<ServedApi> {
  const server = createServer((request, response) => void answer(api(), request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(api: Api, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  const { method = "GET", url = "/", headers } = incoming;
  const body = method === "GET" || method === "HEAD" ? {} : { body: Buffer.concat(parts) };
  const pairs = Object.entries(headers).map(([name, value]) => [name, String(value)] as [string, string]);
  const response = await api.fetch(new Request(`http://${headers.host}${url}`, { method, headers: pairs, ...body }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}

export interface Clients {
  readonly vaults: RecoveryServicesClient;
  readonly backup: RecoveryServicesBackupClient;
}

/** The clients send no token over plain http by themselves, so their own policy makes room for one that does. */
export function clientsFor(url: string, subscription: string, token: () => Promise<string>): Clients {
  const options = { endpoint: url, allowInsecureConnection: true, retryOptions: { maxRetries: 0 } };
  const credential = { getToken: async () => ({ token: "unused", expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) };
  const vaults = new RecoveryServicesClient(credential, subscription, options);
  const backup = new RecoveryServicesBackupClient(credential, subscription, options);
  for (const { pipeline } of [vaults, backup]) {
    pipeline.removePolicy({ name: "bearerTokenAuthenticationPolicy" });
    pipeline.addPolicy({
      name: "token",
      async sendRequest(request, next) {
        request.headers.set("Authorization", `Bearer ${await token()}`);
        return next(request);
      },
    });
  }
  return { vaults, backup };
}
