import { rm } from "node:fs/promises";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkedEstate } from "../../../../localhost/azure/estate/read-estate.ts";
import { overPlainHttp, startTestAzure, type TestAzure, testEstate } from "../support/azure.ts";

let azure: TestAzure;
let keys: KeyClient;

// Both clients hold their pipeline inside; the test swaps the one policy that insists on https.
function plain<Client>(client: Client, clientId = "owner"): Client {
  return overHttp(azure, client, clientId);
}

function overHttp<Client>(to: TestAzure, client: Client, clientId = "owner"): Client {
  const holder = client as unknown as {
    client?: { pipeline: never };
    remoteProvider?: { client: { pipeline: never } };
  };
  overPlainHttp((holder.client ?? holder.remoteProvider?.client) as never, () =>
    to.token(clientId, "https://vault.azure.net"),
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

  it("tell how safe they are from being lost, as the estate says", async () => {
    const levelWith = async (keyVault: object | undefined) => {
      const other = await startTestAzure(testEstate(keyVault === undefined ? {} : { keyVault }));
      const vault = overHttp(other, new KeyClient(other.origin, credential, OPTIONS));
      const { recoveryLevel, recoverableDays } = (await vault.createRsaKey("k")).properties;
      await other.stop();
      return [recoveryLevel, recoverableDays];
    };
    expect(await levelWith(undefined)).toEqual(["Recoverable+Purgeable", 90]);
    expect(await levelWith({ purgeProtection: true })).toEqual(["Recoverable", 90]);
    expect(await levelWith({ purgeProtection: true, retentionDays: 7 })).toEqual(["CustomizedRecoverable", 7]);
    expect(await levelWith({ retentionDays: 30 })).toEqual(["CustomizedRecoverable+Purgeable", 30]);
    expect(await levelWith({ softDelete: false })).toEqual(["Purgeable", 0]);
    expect(() => checkedEstate(testEstate({ keyVault: { softDelete: false, purgeProtection: true } }))).toThrow(
      "Purge protection needs soft delete",
    );
  });

  it("are deleted softly: they can be recovered, or purged, and their name is taken until then", async () => {
    const key = await keys.createRsaKey("doomed");
    const { result } = await cryptography(key.id).wrapKey("RSA-OAEP-256", Buffer.alloc(32, 5));
    const deleted = await (await keys.beginDeleteKey("doomed", { intervalInMs: 5 })).pollUntilDone();
    expect(deleted.properties).toMatchObject({ recoveryId: `${azure.origin}/deletedkeys/doomed` });
    const { deletedOn, scheduledPurgeDate } = deleted.properties;
    expect(Number(scheduledPurgeDate) - Number(deletedOn)).toBe(90 * 24 * 3600 * 1000);
    await expect(keys.getKey("doomed")).rejects.toMatchObject({ statusCode: 404, code: "KeyNotFound" });
    await expect(cryptography(key.id).unwrapKey("RSA-OAEP-256", result)).rejects.toMatchObject({ statusCode: 404 });
    await expect(keys.createRsaKey("doomed")).rejects.toMatchObject({ statusCode: 409, code: "Conflict" });
    const listed: string[] = [];
    for await (const { name } of keys.listDeletedKeys()) listed.push(name);
    expect(listed).toEqual(["doomed"]);
    await (await keys.beginRecoverDeletedKey("doomed", { intervalInMs: 5 })).pollUntilDone();
    expect((await cryptography(key.id).unwrapKey("RSA-OAEP-256", result)).result).toHaveLength(32);
    await (await keys.beginDeleteKey("doomed", { intervalInMs: 5 })).pollUntilDone();
    await keys.purgeDeletedKey("doomed");
    await expect(keys.getDeletedKey("doomed")).rejects.toMatchObject({ statusCode: 404 });
    expect((await keys.createRsaKey("doomed")).properties.version).not.toBe(key.properties.version);
  });

  it("are not purged before their time under purge protection, whatever happens meanwhile", async () => {
    const estate = testEstate({ keyVault: { purgeProtection: true, retentionDays: 7 } });
    const guarded = await startTestAzure(estate);
    let vault = overHttp(guarded, new KeyClient(guarded.origin, credential, OPTIONS));
    await vault.createRsaKey("kept");
    await (await vault.beginDeleteKey("kept", { intervalInMs: 5 })).pollUntilDone();
    await expect(vault.purgeDeletedKey("kept")).rejects.toMatchObject({ statusCode: 403, code: "Forbidden" });
    await guarded.close();
    const again = await startTestAzure(estate, guarded.dataFolder);
    vault = overHttp(again, new KeyClient(again.origin, credential, OPTIONS));
    await expect(vault.purgeDeletedKey("kept")).rejects.toMatchObject({ statusCode: 403 });
    expect((await vault.getDeletedKey("kept")).name).toBe("kept");
    const week = 7 * 24 * 3600;
    await again.control("PUT", "faults", { name: "later", fault: { kind: "clock-skew", skewSeconds: week + 60 } });
    await expect(vault.getDeletedKey("kept")).rejects.toMatchObject({ statusCode: 404 });
    await again.stop();
    await rm(guarded.dataFolder, { recursive: true, force: true });
  });

  it("want a version of the interface that there is", async () => {
    const ask = async (version: string) =>
      (
        await fetch(`${azure.origin}/keys/none?api-version=${version}`, {
          headers: { authorization: `Bearer ${await azure.token("owner", "https://vault.azure.net")}` },
        })
      ).status;
    expect([await ask("7.4"), await ask("2025-07-01"), await ask("9.9"), await ask("2019-01-01")]).toEqual([
      404, 404, 400, 400,
    ]);
  });
});
