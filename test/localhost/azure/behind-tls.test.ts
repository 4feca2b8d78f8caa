import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as startRequest } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ComputeManagementClient } from "@azure/arm-compute";
import { ClientSecretCredential } from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { POLL, pageBlob, SUBSCRIPTION, startTestAzure, type TestAzure, testEstate } from "./support/azure.ts";

// Behind a TLS front nothing at all is changed in the clients: no policy is swapped, tokens come from the secret.
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
let azure: TestAzure;
let front: Server;
let origin: string;
let folder: string;
let ca: string;

beforeAll(async () => {
  if (!hasOpenssl) return;
  folder = mkdtempSync(join(tmpdir(), "azure-tls-"));
  const paths = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...paths]);
  ca = readFileSync(join(folder, "cert.pem"), "utf8");
  azure = await startTestAzure(testEstate({ pageSize: 1 }));
  front = createServer({ key: readFileSync(join(folder, "key.pem")), cert: ca }, (incoming, outgoing) => {
    const headers = {
      ...incoming.headers,
      "x-forwarded-proto": "https",
      "x-forwarded-host": incoming.headers.host ?? "",
    };
    const { method, url } = incoming;
    const forwarded = startRequest({ host: "127.0.0.1", port: azure.port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  origin = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
});

afterAll(async () => {
  if (!hasOpenssl) return;
  front.close();
  front.closeAllConnections();
  expect(azure.defects).toEqual([]);
  await azure.stop();
  rmSync(folder, { recursive: true });
});

function credential(clientId: string): ClientSecretCredential {
  return new ClientSecretCredential(azure.tenant, clientId, "any secret", {
    authorityHost: origin,
    disableInstanceDiscovery: true,
    tlsOptions: { ca },
  });
}

describe.skipIf(!hasOpenssl)("behind a TLS front, with clients as they come", () => {
  it("gives tokens to ClientSecretCredential and pages and operations to the Compute client", async () => {
    const compute = new ComputeManagementClient(credential("owner"), SUBSCRIPTION, {
      endpoint: origin,
      tlsOptions: { ca },
    });
    const names: string[] = [];
    for await (const { name } of compute.virtualMachines.listAll()) names.push(name ?? "");
    expect(names).toEqual(["web-01", "db-01", "web-north-01"]);
    await compute.disks.createOrUpdate(
      "demo",
      "over-tls",
      { location: "westeurope", diskSizeGB: 1, creationData: { createOption: "Empty" } },
      POLL,
    );
    const { accessSAS } = await compute.disks.grantAccess(
      "demo",
      "over-tls",
      { access: "Read", durationInSeconds: 600 },
      POLL,
    );
    expect((await pageBlob(accessSAS).getProperties()).contentLength).toBe(1024 ** 3 + 512);
    await compute.disks.revokeAccess("demo", "over-tls", POLL);
    await compute.disks.delete("demo", "over-tls", POLL);
    const reader = new ComputeManagementClient(credential("reader"), SUBSCRIPTION, {
      endpoint: origin,
      tlsOptions: { ca },
    });
    await expect(reader.virtualMachines.deallocate("demo", "web-01", POLL)).rejects.toMatchObject({
      statusCode: 403,
      code: "AuthorizationFailed",
    });
  });

  it("answers the key client's challenge, and wraps and unwraps", async () => {
    const options = { tlsOptions: { ca }, disableChallengeResourceVerification: true };
    const keys = new KeyClient(origin, credential("owner"), options);
    const key = await keys.createRsaKey("tls-key");
    const cryptography = new CryptographyClient(key.id ?? "", credential("owner"), options);
    const wrapped = await cryptography.wrapKey("RSA-OAEP-256", Buffer.alloc(32, 7));
    expect(
      Buffer.from((await cryptography.unwrapKey("RSA-OAEP-256", wrapped.result)).result).equals(Buffer.alloc(32, 7)),
    ).toBe(true);
  });
});
