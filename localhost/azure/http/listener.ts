// The one socket of the simulated Azure: http on loopback, for all surfaces.
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { HoldfastFailure } from "../../../src/base/failure.ts";

export interface Listener {
  readonly port: number;
  readonly origin: string;
  close(): Promise<void>;
}

/** Listens on 127.0.0.1; port 0 takes a free one. */
export async function listen(port: number, answer: RequestListener): Promise<Listener> {
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0, noDelay: true }, answer);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new HoldfastFailure("unavailable", "PortNotAvailable", `Port ${port} on 127.0.0.1 cannot be used`, {
          hint: "Another program listens there; choose another --port.",
          cause,
        }),
      ),
    );
    server.listen(port, "127.0.0.1", () => resolve());
  });
  const actual = (server.address() as AddressInfo).port;
  return {
    port: actual,
    origin: `http://127.0.0.1:${actual}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
