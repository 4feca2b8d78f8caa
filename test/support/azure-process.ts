// The simulated Azure as a process of its own, and how to be somebody in it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { KeyClient } from "@azure/keyvault-keys";
import type { EstateInput } from "../../localhost/azure/estate/estate-schema.ts";
import { reach } from "../../src/azure/loopback-http.ts";
import { testEstate, tokenFor } from "../localhost/azure/support/azure.ts";

const PROGRAM = resolve(import.meta.dirname, "../../localhost/azure.ts");
const IDENTITY_HEADER = "for-tests";

/** How the key vault protects its keys: a vault's keys that can be purged wrap nothing. */
type KeyVaultSettings = NonNullable<EstateInput["keyVault"]>;

export async function startAzureProcess(keyVault: KeyVaultSettings = { purgeProtection: true }) {
  const root = await mkdtemp(join(tmpdir(), "azure-process-"));
  const estate = join(root, "estate.json");
  await writeFile(estate, JSON.stringify(testEstate({ keyVault })));
  const where = ["--port", "0", "--data", join(root, "data"), "--estate", estate];
  const args = [PROGRAM, ...where, "--identity-header", IDENTITY_HEADER];
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
      await rm(root, { recursive: true });
    },
  };
}

export type AzureProcess = Awaited<ReturnType<typeof startAzureProcess>>;
