import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { isKeyVaultId, type KeyVaultKeyOptions, openKeyVaultKey } from "../../../src/azure/key-vault-key.ts";
import { keyWrapperContract } from "../../contracts/key-wrapper.contract.ts";
import { type AzureProcess, startAzureProcess } from "../../support/azure-process.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const dataKey = randomBytes(32);

describe("A key in Key Vault", () => {
  let azure: AzureProcess;
  let count = 0;
  beforeAll(async () => {
    azure = await startAzureProcess();
  });
  afterEach(() => azure.control("DELETE", "faults"));
  afterAll(() => azure.stop());

  async function makeKey(where = azure) {
    const name = `key-${count++}`;
    const { properties } = await where.keys.createRsaKey(name, { keySize: 2048 });
    return { name, url: `${where.origin}/keys/${name}`, version: properties.version ?? "" };
  }
  const open = (url: string, more: Partial<KeyVaultKeyOptions> = {}) =>
    openKeyVaultKey(url, { credential: azure.credential(), ...more });

  keyWrapperContract(async () => {
    const [{ url }, other] = [await makeKey(), await makeKey()];
    return { wrapper: open(url), again: open(url), other: open(other.url) };
  });

  it("wraps with the newest version, names it, and unwraps with exactly that one after the key was rotated", async () => {
    const { name, url, version } = await makeKey();
    const old = await open(url).wrap(dataKey);
    expect(old).toMatchObject({ wrapperId: url, version, algorithm: "RSA-OAEP-256" });
    const rotated = await azure.keys.rotateKey(name);
    const fresh = await open(url).wrap(dataKey);
    expect(fresh.version).toBe(rotated.properties.version);
    for (const wrapped of [old, fresh]) {
      expect(Buffer.from(await open(url).unwrap(wrapped)).equals(dataKey)).toBe(true);
    }
    await expect(open(url).unwrap({ ...old, version: fresh.version })).rejects.toMatchObject({
      kind: "denied",
      code: "HoldfastWrongKey",
    });
    const pinned = await open(`${url}/${version}`).wrap(dataKey);
    expect(pinned).toMatchObject({ wrapperId: url, version });
  });

  it("wraps nothing under a key that can be purged, unless somebody insists", async () => {
    // Its recovery level: Purgeable, Recoverable+Purgeable, CustomizedRecoverable+Purgeable.
    for (const keyVault of [{ softDelete: false }, {}, { retentionDays: 30 }]) {
      const lax = await startAzureProcess(keyVault);
      const { url } = await makeKey(lax);
      const openLax = (more: Partial<KeyVaultKeyOptions> = {}) =>
        openKeyVaultKey(url, { credential: lax.credential(), ...more });
      await expect(openLax().wrap(dataKey)).rejects.toMatchObject({
        kind: "denied",
        code: "HoldfastKeyPurgeable",
        hint: expect.stringContaining("--force"),
      });
      const wrapped = await openLax({ evenIfPurgeable: true }).wrap(dataKey);
      expect(Buffer.from(await openLax().unwrap(wrapped)).equals(dataKey)).toBe(true);
      await lax.stop();
    }
    // CustomizedRecoverable; Recoverable is what all the others here are.
    const strict = await startAzureProcess({ purgeProtection: true, retentionDays: 7 });
    const { url } = await makeKey(strict);
    await openKeyVaultKey(url, { credential: strict.credential() }).wrap(dataKey);
    await strict.stop();
  });

  it("says what is wrong with a key that is disabled, not there, or not for this identity", async () => {
    const { name, url, version } = await makeKey();
    const wrapped = await open(url).wrap(dataKey);
    await azure.keys.updateKeyProperties(name, version, { enabled: false });
    for (const ask of [() => open(url).unwrap(wrapped), () => open(url).wrap(dataKey)]) {
      await expect(ask()).rejects.toMatchObject({ kind: "denied", code: "HoldfastKeyDisabled", hint: /Enable/ });
    }
    await azure.keys.updateKeyProperties(name, version, { enabled: true });
    expect(await open(url).unwrap(wrapped)).toHaveLength(32);
    const stranger = open(url, { credential: azure.credential("reader") });
    for (const ask of [() => stranger.unwrap(wrapped), () => stranger.wrap(dataKey)]) {
      await expect(ask()).rejects.toMatchObject({ kind: "denied", code: "HoldfastKeyDenied", hint: /Crypto/ });
    }
    await expect(open(`${azure.origin}/keys/none`).wrap(dataKey)).rejects.toMatchObject({
      kind: "denied",
      code: "HoldfastKeyNotFound",
      hint: expect.stringContaining("recover"),
    });
    const gone = { ...wrapped, version: "0".repeat(32) };
    await expect(open(url).unwrap(gone)).rejects.toMatchObject({ kind: "denied", code: "HoldfastKeyNotFound" });
  });

  it("says that there is no identity when there is none", async () => {
    const { url } = await makeKey();
    const credential = {
      getToken: () => {
        throw Object.assign(new Error("Please run az login"), { name: "CredentialUnavailableError" });
      },
    };
    await expect(open(url, { credential }).wrap(dataKey)).rejects.toMatchObject({
      kind: "denied",
      code: "HoldfastNoIdentity",
      hint: expect.stringContaining("az login"),
    });
  });

  it("rides out a busy vault and a dropped connection, and tells when it stays away", async () => {
    const { url } = await makeKey();
    const wrapped = await open(url).wrap(dataKey);
    const strike = (fault: object, times?: number) =>
      azure.control("PUT", "faults", { name: "f", surface: "keys", fault, ...(times ? { times } : {}) });
    for (const fault of [
      { kind: "throttle", retryAfterSeconds: 1 },
      { kind: "drop" },
      { kind: "error", status: 503 },
    ]) {
      await strike(fault, 1);
      expect(await open(url).unwrap(wrapped)).toHaveLength(32);
    }
    await strike({ kind: "throttle", retryAfterSeconds: 1 });
    await expect(open(url).unwrap(wrapped)).rejects.toMatchObject({ kind: "throttled" });
    await strike({ kind: "drop" });
    await expect(open(url).unwrap(wrapped)).rejects.toMatchObject({ kind: "unavailable" });
    const nobody = openKeyVaultKey("http://127.0.0.1:1/keys/k", { credential: azure.credential() });
    await expect(nobody.unwrap(wrapped)).rejects.toMatchObject({
      kind: "unavailable",
      code: "HoldfastKeyVaultUnavailable",
    });
  });

  it("stops when it is told to", async () => {
    const { url } = await makeKey();
    await azure.control("PUT", "faults", {
      name: "slow",
      surface: "keys",
      fault: { kind: "latency", latencyMs: 20_000 },
    });
    const stop = new AbortController();
    const asked = open(url, { signal: stop.signal }).wrap(dataKey);
    stop.abort();
    await expect(asked).rejects.toMatchObject({ kind: "cancelled", code: "HoldfastStopped" });
  });

  it("takes only the URL of a key, over https unless it is on this machine", () => {
    for (const url of [
      "key",
      "https://v.vault.azure.net",
      "https://v.vault.azure.net/secrets/s",
      "https://v.vault.azure.net/keys/",
      "https://v.vault.azure.net/keys/k/short",
      "https://user:secret@v.vault.azure.net/keys/k",
      "http://v.vault.azure.net/keys/k",
      "http://127.0.0.1.example.net/keys/k",
      "https://v.vault.azure.net/keys/k?x=y",
    ]) {
      expect(() => open(url), url).toThrow(expect.objectContaining({ kind: "invalid", code: "HoldfastKeyUrl" }));
    }
    expect(open("https://V.vault.azure.net/keys/Backup-1/").id).toBe("https://v.vault.azure.net/keys/Backup-1");
  });

  it("is recognised in a vault's records only where Azure itself would answer", () => {
    for (const id of ["https://v.vault.azure.net/keys/k", "https://h.managedhsm.azure.net/keys/k"]) {
      expect(isKeyVaultId(id), id).toBe(true);
    }
    for (const id of [
      "http://v.vault.azure.net/keys/k",
      "https://v.vault.azure.net.example.org/keys/k",
      "https://example.org/keys/k",
      "https://vault.azure.net@example.org/keys/k",
      "https://example.org/.vault.azure.net/keys/k",
      "https://v.vault.azure.net:444/keys/k",
      "http://127.0.0.1:7072/keys/k",
      "file:0123456789abcdef",
    ]) {
      expect(isKeyVaultId(id), id).toBe(false);
    }
  });
});
