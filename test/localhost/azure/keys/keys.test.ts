import { rm } from "node:fs/promises";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { overPlainHttp, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

let azure: TestAzure;
let keys: KeyClient;

// Both clients hold their pipeline inside; the test swaps the one policy that insists on https.
function plain<Client>(client: Client, clientId = "owner"): Client {
  const holder = client as unknown as {
    client?: { pipeline: never };
    remoteProvider?: { client: { pipeline: never } };
  };
  overPlainHttp((holder.client ?? holder.remoteProvider?.client) as never, () =>
    azure.token(clientId, "https://vault.azure.net"),
  );
  return client;
}

const OPTIONS = {
  allowInsecureConnection: true,
  disableChallengeResourceVerification: true,
  retryOptions: { maxRetries: 0 },
};
const credential = { getToken: async () => null };

beforeAll(async () => {
  azure = await startTestAzure();
  keys = plain(new KeyClient(azure.origin, credential, OPTIONS));
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
  await rm(azure.dataFolder, { recursive: true, force: true });
});

function cryptography(kid: string | undefined): CryptographyClient {
  return plain(new CryptographyClient(kid ?? "", credential, OPTIONS));
}

describe("Key Vault keys, through the official client", () => {
  it("wrap and unwrap, and what an old version wrapped stays readable after a rotation and a restart", async () => {
    const key = await keys.createRsaKey("vault-key", { keySize: 2048 });
    expect(key).toMatchObject({
      name: "vault-key",
      keyType: "RSA",
      properties: { enabled: true, vaultUrl: azure.origin },
    });
    const secret = Buffer.from("0123456789abcdef0123456789abcdef");
    const wrapped = await cryptography(key.id).wrapKey("RSA-OAEP-256", secret);
    const rotated = await keys.rotateKey("vault-key");
    expect(rotated.properties.version).not.toBe(key.properties.version);
    expect((await keys.getKey("vault-key")).properties.version).toBe(rotated.properties.version);
    expect(
      Buffer.from((await cryptography(key.id).unwrapKey("RSA-OAEP-256", wrapped.result)).result).equals(secret),
    ).toBe(true);
    await expect(cryptography(rotated.id).unwrapKey("RSA-OAEP-256", wrapped.result)).rejects.toMatchObject({
      statusCode: 400,
      code: "BadParameter",
    });
    const versions: string[] = [];
    for await (const { version } of keys.listPropertiesOfKeyVersions("vault-key")) versions.push(version ?? "");
    expect(versions).toEqual([rotated.properties.version, key.properties.version]);
    await azure.close();
    azure = await startTestAzure(testEstate(), azure.dataFolder);
    keys = plain(new KeyClient(azure.origin, credential, OPTIONS));
    const kept = await keys.getKey("vault-key", { version: key.properties.version ?? "" });
    expect(
      Buffer.from((await cryptography(kept.id).unwrapKey("RSA-OAEP-256", wrapped.result)).result).equals(secret),
    ).toBe(true);
  });

  it("refuse to work while disabled", async () => {
    const key = await keys.createRsaKey("switched");
    const { result } = await cryptography(key.id).wrapKey("RSA-OAEP", Buffer.alloc(32, 1));
    await keys.updateKeyProperties("switched", key.properties.version ?? "", { enabled: false });
    await expect(cryptography(key.id).unwrapKey("RSA-OAEP", result)).rejects.toMatchObject({
      statusCode: 403,
      code: "Forbidden",
      message: expect.stringContaining("disabled"),
    });
    await keys.updateKeyProperties("switched", key.properties.version ?? "", { enabled: true });
    expect((await cryptography(key.id).unwrapKey("RSA-OAEP", result)).result).toHaveLength(32);
  });

  it("are not there, or not for you", async () => {
    await expect(keys.getKey("none")).rejects.toMatchObject({ statusCode: 404, code: "KeyNotFound" });
    await expect(
      plain(new KeyClient(azure.origin, credential, OPTIONS), "reader").getKey("vault-key"),
    ).rejects.toMatchObject({ statusCode: 403, code: "Forbidden" });
    const challenge = await fetch(`${azure.origin}/keys/vault-key?api-version=7.5`);
    expect(challenge.status).toBe(401);
    expect(challenge.headers.get("www-authenticate")).toBe(
      `Bearer authorization="${azure.origin}/${azure.tenant}", resource="https://vault.azure.net"`,
    );
  });
});
