import { createHash, randomBytes } from "node:crypto";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type AzureProcess, startAzureProcess } from "../support/azure-process.ts";
import { mustRun, runCommand } from "../support/holdfast-command.ts";
import { runHoldfast } from "../support/holdfast-process.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MiB = 2 ** 20;

let root: string;
let image: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "holdfast-keys-"));
  image = path("disk.img");
  await writeFile(image, randomBytes(3 * MiB));
});
afterAll(() => rm(root, { recursive: true }));

const path = (name: string) => join(root, `${count++}-${name}`);
const digestOf = async (file: string) =>
  createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
const keyFlags = (...files: string[]) => files.flatMap((file) => ["--key-file", file]);

async function restores(vault: string, point: string, ...flags: string[]): Promise<void> {
  const target = path("restored.img");
  await mustRun(["restore", vault, "vm-1", point, target, ...flags]);
  expect(await digestOf(target)).toBe(await digestOf(image));
  await rm(target);
}

describe("Key files", () => {
  async function withPoint() {
    const [vault, key, escrow] = [path("vault"), path("key.json"), path("escrow.json")];
    await mustRun(["init", vault, "--key-file", key, "--escrow-file", escrow]);
    const { point } = JSON.parse(await mustRun(["backup", vault, "vm-1", image, "--json", ...keyFlags(key)]));
    return { vault, key, escrow, point: point as string };
  }

  it("rotate, escrow included: the new ones open everything, the old ones nothing", async () => {
    const { vault, key, escrow, point } = await withPoint();
    const [newKey, newEscrow] = [path("new.json"), path("new-escrow.json")];
    const news = ["--new-key-file", newKey, "--new-escrow-file", newEscrow];
    // As after a rotation that was stopped before it retired anything.
    await mustRun(["rotate-key", vault, ...keyFlags(key), ...news, "--keep-old"]);
    for (const file of [key, escrow, newKey, newEscrow]) await restores(vault, point, ...keyFlags(file));
    const rotated = JSON.parse(await mustRun(["rotate-key", vault, ...keyFlags(key), ...news, "--json"]));
    expect(rotated).toMatchObject({ skipped: [], erased: 0 });
    expect([rotated.openers.length, rotated.retired.length]).toEqual([2, 2]);
    for (const file of [newKey, newEscrow]) await restores(vault, point, ...keyFlags(file));
    for (const file of [key, escrow]) {
      const refused = await runCommand(["ls", vault, ...keyFlags(file)]);
      expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining("was retired") });
      expect(refused.stderr).toContain("--even-retired");
      await restores(vault, point, ...keyFlags(file), "--even-retired");
    }
    const listed = JSON.parse(await mustRun(["keys", vault, ...keyFlags(newKey), "--json"]));
    expect(listed.map(({ isRetired }: { isRetired: boolean }) => isRetired)).toEqual([true, true, false, false]);
    expect(await mustRun(["rotate-key", vault, ...keyFlags(newKey), "--erase"])).toContain("Erased 2 retired records");
    expect(await readdir(join(vault, "v", "keys"))).toHaveLength(2);
    expect((await runCommand(["ls", vault, ...keyFlags(key), "--even-retired"])).code).toBe(4);
    await restores(vault, point, ...keyFlags(newEscrow));
  });

  it("rotate one at a time, and say what still opens the vault", async () => {
    const { vault, key, escrow, point } = await withPoint();
    const [newKey, newEscrow] = [path("new.json"), path("new-escrow.json")];
    const escrowId = JSON.parse(await readFile(escrow, "utf8")).id;
    expect(await mustRun(["rotate-key", vault, ...keyFlags(key), "--new-key-file", newKey])).toContain(`  ${escrowId}`);
    await restores(vault, point, ...keyFlags(escrow));
    await mustRun(["rotate-key", vault, ...keyFlags(newKey), "--new-escrow-file", newEscrow]);
    for (const file of [newKey, newEscrow]) await restores(vault, point, ...keyFlags(file));
    expect((await runCommand(["ls", vault, ...keyFlags(escrow)])).code).toBe(4);
    const lost = JSON.parse(await readFile(newEscrow, "utf8")).id;
    await mustRun(["rotate-key", vault, ...keyFlags(newKey), "--retire", lost]);
    expect((await runCommand(["ls", vault, ...keyFlags(newEscrow)])).code).toBe(4);
    await restores(vault, point, ...keyFlags(newKey));
  });

  it("open a new data key only if they are given: then the next backup is a full one, and old points restore", async () => {
    const { vault, key, escrow, point } = await withPoint();
    const refused = await runCommand(["rotate-key", vault, ...keyFlags(key), "--data-key"]);
    expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining("HoldfastKeyNotGiven") });
    expect(await readdir(join(vault, "v", "keys"))).toHaveLength(2);
    expect(await mustRun(["rotate-key", vault, ...keyFlags(key, escrow), "--data-key"])).toContain("a full one");
    const backUp = async () =>
      JSON.parse(await mustRun(["backup", vault, "vm-1", image, "--json", ...keyFlags(escrow)]));
    const second = await backUp();
    expect(second).toMatchObject({ sequence: 2, newBytes: 3 * MiB });
    expect(await backUp()).toMatchObject({ sequence: 3, newBytes: 0 });
    for (const file of [key, escrow]) {
      for (const each of [point, second.point, "latest"]) await restores(vault, each, ...keyFlags(file));
    }
    expect(await mustRun(["verify", vault, ...keyFlags(key)])).toContain("Nothing is wrong.");
  });

  it("both change at once after a theft, with one command", async () => {
    const { vault, key, escrow, point } = await withPoint();
    const [newKey, newEscrow] = [path("new.json"), path("new-escrow.json")];
    const news = ["--new-key-file", newKey, "--new-escrow-file", newEscrow, "--data-key", "--erase"];
    await mustRun(["rotate-key", vault, ...keyFlags(key), ...news]);
    expect(JSON.parse(await mustRun(["backup", vault, "vm-1", image, "--json", ...keyFlags(newKey)])).newBytes).toBe(
      3 * MiB,
    );
    for (const file of [newKey, newEscrow]) {
      for (const each of [point, "latest"]) await restores(vault, each, ...keyFlags(file));
    }
    for (const file of [key, escrow]) expect((await runCommand(["ls", vault, ...keyFlags(file)])).code).toBe(4);
  });

  it("of another vault open nothing, and say what would", async () => {
    const [{ vault, key }, other] = [await withPoint(), await withPoint()];
    const id = JSON.parse(await readFile(key, "utf8")).id;
    const refused = await runCommand(["ls", vault, ...keyFlags(other.key)]);
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining(`opens with ${id}`) });
    const stolen = path("stolen.json");
    await copyFile(other.key, stolen);
    await writeFile(stolen, (await readFile(stolen, "utf8")).replace(/"id": "[^"]*"/, `"id": "${id}"`));
    expect(await runCommand(["ls", vault, ...keyFlags(stolen)])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("HoldfastWrongKey"),
    });
  });
});

describe("A key in Key Vault", () => {
  let azure: AzureProcess;
  beforeAll(async () => {
    azure = await startAzureProcess();
  });
  afterAll(() => azure.stop());

  async function makeKey(where = azure) {
    const name = `key-${count++}`;
    const { properties } = await where.keys.createRsaKey(name, { keySize: 2048 });
    return { name, url: `${where.origin}/keys/${name}`, version: properties.version ?? "" };
  }
  /** As a process of its own: an identity belongs to one. */
  async function must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runHoldfast(["vault", ...args], azure.identity);
    expect([code, stderr], args.join(" ")).toEqual([0, ""]);
    return stdout.toString();
  }

  it("opens a vault for whoever this machine is to Azure, and takes over from a key file", async () => {
    const [vault, escrow, { name, url }] = [path("vault"), path("escrow.json"), await makeKey()];
    const inKeyVault = ["--key-vault-key", url];
    expect(await must("init", vault, ...inKeyVault, "--escrow-file", escrow)).toContain(`Without ${url} nobody`);
    const { point } = JSON.parse(await must("backup", vault, "vm-1", image, ...inKeyVault, "--json"));
    // The escrow file needs no Azure at all.
    await restores(vault, point, ...keyFlags(escrow));
    await azure.keys.rotateKey(name);
    const rotated = JSON.parse(await must("rotate-key", vault, ...inKeyVault, "--json"));
    expect(rotated).toMatchObject({ retired: [url], skipped: [] });
    const keys = JSON.parse(await mustRun(["keys", vault, ...keyFlags(escrow), "--json"])) as {
      openedBy: string;
      version: string;
      isRetired: boolean;
    }[];
    const ofKeyVault = keys.filter(({ openedBy }) => openedBy === url);
    expect(ofKeyVault.map(({ isRetired }) => isRetired)).toEqual([true, false]);
    expect(ofKeyVault[0]?.version).not.toBe(ofKeyVault[1]?.version);
    await azure.keys.updateKeyProperties(name, ofKeyVault[0]?.version ?? "", { enabled: false });
    expect(await must("ls", vault, ...inKeyVault)).toContain(point);
  });

  it("that anybody could purge is refused, unless knowingly", async () => {
    const lax = await startAzureProcess({ purgeProtection: false });
    const [vault, { url }] = [path("vault"), await makeKey(lax)];
    const args = ["vault", "init", vault, "--key-vault-key", url];
    const refused = await runHoldfast(args, lax.identity);
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining("HoldfastKeyPurgeable") });
    expect(await runHoldfast([...args, "--force"], lax.identity)).toMatchObject({ code: 0 });
    await lax.stop();
  });

  it("that is disabled, or for which nobody was found, shuts the vault with the reason", async () => {
    const [vault, { name, url, version }] = [path("vault"), await makeKey()];
    await must("init", vault, "--key-vault-key", url);
    await azure.keys.updateKeyProperties(name, version, { enabled: false });
    const ls = ["vault", "ls", vault, "--json"];
    const refused = await runHoldfast([...ls, "--key-vault-key", url], azure.identity);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: "HoldfastKeyDisabled" }, exitCode: 4 });
    // No key of Azure's own clouds: nobody is asked for a token unless the key is named.
    const unnamed = await runHoldfast(ls, azure.identity);
    expect(JSON.parse(unnamed.stderr).error).toMatchObject({
      code: "HoldfastNoKey",
      message: expect.stringContaining(url),
      hint: expect.stringContaining("--key-vault-key"),
    });
  });
});
