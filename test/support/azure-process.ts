// The simulated Azure as a process of its own, and how to be somebody in it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { KeyClient } from "@azure/keyvault-keys";
import { reach } from "../../src/azure/loopback-http.ts";
import { tokenFor } from "../localhost/azure/support/azure.ts";

const PROGRAM = resolve(import.meta.dirname, "../../localhost/azure.ts");
const IDENTITY_HEADER = "for-tests";

export async function startAzureProcess() {
  const dataFolder = await mkdtemp(join(tmpdir(), "azure-process-"));
  const args = [PROGRAM, "--port", "0", "--data", dataFolder, "--identity-header", IDENTITY_HEADER];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  while (!said.includes("\n")) said += String((await once(child.stdout, "data"))[0]);
  const [, origin = "", identityEndpoint = ""] = /Simulated Azure: (\S+) .* identity (\S+)/.exec(said) ?? [];
  const credential = (clientId = "owner") => ({
    getToken: async (scopes: string | string[]) => ({
      token: await tokenFor(origin, clientId, [scopes].flat()[0]?.replace(/\/\.default$/, "") ?? ""),
      expiresOnTimestamp: Date.now() + 3_600_000,
    }),
  });
  const { url, httpClient } = reach(origin);
  return {
    origin,
    credential,
    /** What a process must be told to be this machine's managed identity. */
    identity: { IDENTITY_ENDPOINT: identityEndpoint, IDENTITY_HEADER },
    keys: new KeyClient(url, credential(), {
      ...(httpClient ? { httpClient } : {}),
      disableChallengeResourceVerification: true,
    }),
    async control(method: string, path: string, body?: unknown): Promise<void> {
      const answer = await fetch(`${origin}/control/${path}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!answer.ok) throw new Error(await answer.text());
    },
    async stop(): Promise<void> {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      await rm(dataFolder, { recursive: true });
    },
  };
}

export type AzureProcess = Awaited<ReturnType<typeof startAzureProcess>>;

/** What a key in a vault with purge protection says of itself. */
export const LASTING = { tags: { "simulated-recovery-level": "Recoverable" } };
