import { createHash, randomBytes } from "node:crypto";
import { copyFile, cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../cli/main.ts";
import { type Azurite, startAzurite } from "../support/azurite.ts";

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
  async function run(...args: string[]) {
    const printed: string[] = [];
    const complaints: string[] = [];
    const output = {
      print: (line: string) => printed.push(line),
      complain: (line: string) => complaints.push(line),
      isTerminal: false,
    };
    const code = await main(["vault", ...args], {}, output);
    return { code, printed: printed.join("\n"), complaints: complaints.join("\n") };
  }
  async function must(...args: string[]) {
    const result = await run(...args);
    expect(result, args.join(" ")).toMatchObject({ code: 0, complaints: "" });
    return result.printed;
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
    expect(result.printed).toContain("pack-missing");
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
      printed: expect.stringMatching(/[1-9]\d* still lost/),
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

  it("answers bad input with a message and a code, and writes nothing", async () => {
    const [vault, image] = [path("vault"), await makeImage()];
    const before = await readdir(root);
    for (const [code, ...args] of [
      [2, "init", vault],
      [2, "init", vault, "--no-encryption", "--key-file", path("k")],
      [2, "frobnicate"],
      [2, "ls", vault, "--no-such-flag"],
      [3, "ls", vault],
      [3, "backup", vault, "vm-1", image],
    ] as const) {
      const result = await run(...args);
      expect(result.code, args.join(" ")).toBe(code);
      expect(result.complaints).not.toBe("");
      expect(result.complaints).not.toContain("    at ");
    }
    expect(await readdir(root)).toEqual(before);
    await must("init", vault, "--no-encryption");
    await must("backup", vault, "vm-1", image);
    const target = path("exists.img");
    await copyFile(image, target);
    for (const [code, ...args] of [
      [2, "backup", vault, "VM 1", image],
      [3, "backup", vault, "vm-1", path("no-such.img")],
      [3, "show", vault, "vm-2", "latest"],
      [2, "show", vault, "vm-1", "not-a-point"],
      [3, "show", vault, "vm-1", "0".repeat(32)],
      [5, "restore", vault, "vm-1", "latest", target],
      [3, "restore", vault, "vm-1", "latest", path("x"), "--disk", "5"],
      [2, "restore", vault, "vm-1", "latest", path("x"), "--disk", "one"],
      [4, "ls", vault, "--key-file", path("no-key")],
      [5, "delete", vault, "vm-1", "latest"],
      [5, "init", vault, "--no-encryption"],
    ] as const) {
      const result = await run(...args);
      expect([result.code, args.join(" ")]).toEqual([code, args.join(" ")]);
      expect(result.complaints).not.toContain("    at ");
    }
    expect(await digestOf(target)).toBe(await digestOf(image));
    expect(JSON.parse(await must("ls", vault, "--json"))).toHaveLength(1);
  });
});
