import { createHash, randomBytes } from "node:crypto";
import { cp, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  generateAccountSASQueryParameters,
  SASProtocol,
} from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Azurite, startAzurite } from "../support/azurite.ts";
import { mustRun, runCommand } from "../support/holdfast-command.ts";

const MiB = 1024 * 1024;
const digestOf = async (path: string) =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");

describe("holdfast vault", () => {
  let root: string;
  let azurite: Azurite;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-cli-"));
    azurite = await startAzurite();
  });
  afterAll(async () => {
    await azurite.stop();
    await rm(root, { recursive: true });
  });

  const path = (name: string) => join(root, `${count++}-${name}`);
  const run = (...args: string[]) => runCommand(args);
  const must = (...args: string[]) => mustRun(args);
  async function makeSparse(sizeBytes: number, ...filledAt: number[]) {
    const image = path("disk.img");
    const file = await open(image, "w");
    await file.truncate(sizeBytes);
    for (const offset of filledAt) await file.write(randomBytes(MiB), 0, MiB, offset);
    await file.close();
    return image;
  }
  async function makeImage() {
    const image = path("disk.img");
    await writeFile(image, Buffer.concat([randomBytes(3 * MiB), Buffer.alloc(5 * MiB), randomBytes(MiB)]));
    await truncate(image, 70 * MiB);
    return image;
  }

  const stores: Record<string, () => { vault: string; where: string[] }> = {
    "a folder": () => ({ vault: path("vault"), where: [] }),
    "a storage account": () => ({ vault: `cli-${count++}`, where: ["--connection-string", azurite.connectionString] }),
  };
  for (const [kind, make] of Object.entries(stores)) {
    it(`backs up, lists, shows, verifies and restores in ${kind}`, async () => {
      const { vault, where } = make();
      const key = ["--key-file", path("key.json"), ...where];
      const image = await makeImage();
      await must("init", vault, ...key);
      await must("backup", vault, "vm-1", image, ...key);
      const first = await digestOf(image);
      const changed = path("changed");
      const bytes = await readFile(image);
      randomBytes(1000).copy(bytes, 66 * MiB);
      await writeFile(image, bytes);
      await writeFile(changed, `${66 * MiB} 1000\n`);
      expect(await must("backup", vault, "vm-1", image, "--changed", changed, ...key)).toContain("read 512 KiB");
      const points = JSON.parse(await must("ls", vault, "--json", ...key)) as { transfer: string }[];
      expect(points).toHaveLength(2);
      expect(await must("show", vault, "vm-1", "latest", ...key)).toContain("number 2");
      expect(await must("diff", vault, "vm-1", points[0]?.transfer ?? "", points[1]?.transfer ?? "", ...key)).toBe(
        `${66 * MiB} ${MiB / 2}`,
      );
      expect(await must("verify", vault, ...key)).toContain("Nothing is wrong.");
      const [old, latest, vhd] = [path("old.img"), path("latest.img"), path("latest.vhd")];
      await must("restore", vault, "vm-1", points[0]?.transfer ?? "", old, ...key);
      await must("restore", vault, "vm-1", "latest", latest, ...key);
      await must("export", vault, "vm-1", "latest", vhd, ...key);
      expect(await digestOf(old)).toBe(first);
      expect(await digestOf(latest)).toBe(await digestOf(image));
      const footer = (await readFile(vhd)).subarray(-512);
      expect((await readFile(vhd)).subarray(0, -512).equals(await readFile(image))).toBe(true);
      expect(footer.toString("latin1", 0, 8)).toBe("conectix");
      await must("hold", vault, "vm-1", points[0]?.transfer ?? "", ...key);
      expect((await run("delete", vault, "vm-1", points[0]?.transfer ?? "", ...key)).code).toBe(5);
      await must("hold", vault, "vm-1", points[0]?.transfer ?? "", "--release", ...key);
      await must("delete", vault, "vm-1", points[0]?.transfer ?? "", ...key);
      expect(await must("ls", vault, ...key)).toContain("deleted");
      await must("undelete", vault, "vm-1", points[0]?.transfer ?? "", ...key);
      expect(await must("gc", vault, "--dry-run", ...key)).toContain("would free 0 B");
      expect((await must("rebuild-catalog", vault, ...key)).split("\n")).toHaveLength(2);
    });
  }

  it("backs up a restored VHD as the same disk", async () => {
    const [vault, image, vhd, again] = [path("vault"), await makeImage(), path("disk.vhd"), path("again.img")];
    await must("init", vault, "--no-encryption");
    await must("backup", vault, "vm-1", image);
    await must("export", vault, "vm-1", "latest", vhd);
    await must("backup", vault, "vm-2", vhd);
    await must("restore", vault, "vm-2", "latest", again);
    expect(await digestOf(again)).toBe(await digestOf(image));
  });

  it("treats a copied folder as a copy, until it is adopted", async () => {
    const [vault, copy, image] = [path("vault"), path("copy"), await makeImage()];
    await must("init", vault, "--no-encryption");
    await must("backup", vault, "vm-1", image);
    await cp(vault, copy, { recursive: true });
    expect((await run("backup", copy, "vm-1", image)).code).toBe(4);
    const restored = path("restored.img");
    await must("restore", copy, "vm-1", "latest", restored);
    expect(await digestOf(restored)).toBe(await digestOf(image));
    await must("adopt", copy);
    await must("backup", copy, "vm-1", image);
    const second = path("second");
    await must("copy", vault, second);
    expect(await must("verify", second)).toContain("Nothing is wrong.");
  });

  it("finds damage, says where, and answers 1", async () => {
    const [vault, image] = [path("vault"), await makeImage()];
    await must("init", vault, "--no-encryption");
    await must("backup", vault, "vm-1", image);
    const packs = (await readdir(join(vault, "v", "packs"), { recursive: true })).filter((name) =>
      name.endsWith(".g0"),
    );
    for (const name of packs) await rm(join(vault, "v", "packs", name));
    const result = await run("verify", vault, "--structure");
    expect(result.code).toBe(1);
    expect(result.stdout).toContain("pack-missing");
    const target = path("restored.img");
    expect((await run("restore", vault, "vm-1", "latest", target)).code).toBe(6);
    await expect(readFile(target)).rejects.toThrow(/ENOENT/);
  });

  it("repairs from a copy what was recorded, and says what is still lost", async () => {
    const [vault, copy, image] = [path("vault"), path("copy"), await makeImage()];
    await must("init", vault, "--no-encryption");
    await must("backup", vault, "vm-1", image);
    await must("copy", vault, copy);
    expect(await must("repair", vault)).toContain("No damage is recorded.");
    const [data] = (await readdir(join(vault, "v", "packs"), { recursive: true })).filter((name) =>
      name.endsWith(".g0"),
    );
    await rm(join(vault, "v", "packs", data as string));
    expect((await run("verify", vault, "--record")).code).toBe(1);
    expect(await run("repair", vault)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/[1-9]\d* still lost/),
    });
    expect(await must("repair", vault, "--from", copy)).toMatch(/[1-9]\d* parts healed, 0 still lost/);
    expect(await must("verify", vault)).toContain("Nothing is wrong.");
    const target = path("restored.img");
    await must("restore", vault, "vm-1", "latest", target);
    expect(await digestOf(target)).toBe(await digestOf(image));
  });

  it("compacts when asked to, and says what it would do when asked that", async () => {
    const [vault, image] = [path("vault"), await makeImage()];
    await must("init", vault, "--no-encryption");
    await must("backup", vault, "vm-1", image);
    expect(await must("gc", vault)).not.toContain("mostly dead");
    expect(await must("gc", vault, "--compact", "--dry-run")).toContain("would rewrite 0 packs that are mostly dead");
    const done = JSON.parse(await must("gc", vault, "--compact", "--json")) as { compaction: unknown };
    expect(done.compaction).toEqual({ packs: [], wroteBytes: 0, freedBytes: 0 });
  });

  it("does everything a vault can, from a folder into a storage account and back", async () => {
    const [vault, key, escrow] = [path("vault"), path("key.json"), path("escrow.json")];
    const environment = { HOLDFAST_KEY_FILE: key };
    const image = await makeSparse(40 * MiB, MiB, 30 * MiB);
    const original = await readFile(image);
    const data = await makeSparse(3 * MiB + 512, 0);
    expect(await mustRun(["init", vault, "--escrow-file", escrow], environment)).toContain("is ready");
    const first = JSON.parse(
      await mustRun(["backup", vault, "vm-1", `os=${image}`, `data=${data}`, "--tag", "daily", "--json"], environment),
    );
    expect(first).toMatchObject({ item: "vm-1", sequence: 1, newBytes: 3 * MiB });
    await writeFile(
      image,
      Buffer.concat([original.subarray(0, 7 * MiB), randomBytes(10), original.subarray(7 * MiB + 10)]),
    );
    const second = JSON.parse(
      await mustRun(["backup", vault, "vm-1", `os=${image}`, `data=${data}`, "--json"], environment),
    );
    const listed = await mustRun(["ls", vault, "vm-1"], environment);
    expect(listed.trim().split("\n")).toHaveLength(3);
    expect(await mustRun(["show", vault, "vm-1", first.point.slice(-8)], environment)).toContain("tags         daily");
    expect(await mustRun(["diff", vault, "vm-1", first.point, "latest", "--disk", "os"], environment)).toBe(
      `${7 * MiB} ${MiB / 2}`,
    );
    expect(await mustRun(["verify", vault, "--part", "1/2", "--record"], environment)).toContain("Nothing is wrong.");
    const folder = path("restored");
    await mustRun(["restore", vault, "vm-1", first.point, folder, "--all-disks"], environment);
    expect((await readFile(join(folder, "0-os.img"))).equals(original)).toBe(true);
    expect((await readFile(join(folder, "1-data.img"))).equals(await readFile(data))).toBe(true);
    await mustRun(["hold", vault, "vm-1", first.point], environment);
    await mustRun(["hold", vault, "vm-1", first.point, "--release"], environment);
    await mustRun(["delete", vault, "vm-1", first.point, "--reason", "old"], environment);
    await mustRun(["undelete", vault, "vm-1", first.point], environment);
    expect(await mustRun(["gc", vault], environment)).toContain("freed 0 B");

    const sas = generateAccountSASQueryParameters(
      {
        services: AccountSASServices.parse("b").toString(),
        resourceTypes: AccountSASResourceTypes.parse("sco").toString(),
        permissions: AccountSASPermissions.parse("rwdlac"),
        protocol: SASProtocol.HttpsAndHttp,
        expiresOn: new Date(Date.now() + 3_600_000),
      },
      azurite.credential,
    ).toString();
    const url = `${azurite.blobEndpoint}/v-copied?${sas}`;
    expect(await mustRun(["copy", vault, url], environment)).toContain("Copied 2 points");
    const refused = await runCommand(["backup", url, "vm-1", image], environment);
    expect(refused).toMatchObject({ code: 4 });
    expect(refused.stderr).not.toContain(new URL(url).searchParams.get("sig"));
    const escrowed = { HOLDFAST_KEY_FILE: escrow, AZURE_STORAGE_CONNECTION_STRING: azurite.connectionString };
    await mustRun(["adopt", "copied"], escrowed);
    const third = JSON.parse(await mustRun(["backup", "copied", "vm-1", `os=${image}`, "--json"], escrowed));
    expect(third).toMatchObject({ sequence: 3, newBytes: 0 });
    const catalog = (await mustRun(["rebuild-catalog", url], environment)).trim().split("\n");
    expect(catalog.map((line) => JSON.parse(line).transfer)).toEqual([first.point, second.point, third.point]);
    const back = path("back.img");
    await mustRun(["restore", url, "vm-1", first.point, back, "--disk", "os"], environment);
    expect((await readFile(back)).equals(original)).toBe(true);
  });
});
