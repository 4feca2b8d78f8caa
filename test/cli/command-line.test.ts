import { randomBytes } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../cli/main.ts";
import { withoutSecrets } from "../../cli/output.ts";
import { runHoldfast } from "../support/holdfast-process.ts";

const MiB = 1024 * 1024;

describe("The command line", () => {
  let root: string;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-lines-"));
  });
  afterAll(() => rm(root, { recursive: true }));

  const path = (name: string) => join(root, `${count++}-${name}`);
  async function makeImage(sizeBytes: number, ...filledAt: number[]): Promise<string> {
    const image = path("disk.img");
    const file = await open(image, "w");
    await file.truncate(sizeBytes);
    for (const offset of filledAt) await file.write(randomBytes(MiB), 0, MiB, offset);
    await file.close();
    return image;
  }
  async function run(...args: string[]) {
    const printed: string[] = [];
    const complaints: string[] = [];
    const output = {
      print: (line: string) => printed.push(line),
      complain: (line: string) => complaints.push(line),
      isTerminal: false,
    };
    const code = await main(args, {}, output);
    return { code, stdout: printed.join("\n"), stderr: complaints.join("\n") };
  }
  async function must(args: readonly string[]): Promise<void> {
    expect(await run("vault", ...args), args.join(" ")).toMatchObject({ code: 0, stderr: "" });
  }

  it("replaces a file only when told to, and leaves nothing half written", async () => {
    const vault = path("vault");
    const image = await makeImage(9 * MiB, 0, 4 * MiB);
    await must(["init", vault, "--no-encryption"]);
    await must(["backup", vault, "vm-1", image]);
    const target = path("target.img");
    await writeFile(target, "precious");
    expect(await run("vault", "restore", vault, "vm-1", "latest", target)).toMatchObject({ code: 5 });
    expect(await readFile(target, "utf8")).toBe("precious");
    await rm(join(vault, "v", "packs"), { recursive: true });
    const failed = await run("vault", "restore", vault, "vm-1", "latest", target, "--force");
    expect(failed).toMatchObject({ code: 6 });
    expect(await readFile(target, "utf8")).toBe("precious");
    expect((await readdir(root)).filter((name) => name.endsWith(".partial"))).toEqual([]);
    const [again, second] = [path("vault"), path("disk.vhd")];
    await must(["init", again, "--no-encryption"]);
    await must(["backup", again, "vm-1", image]);
    await must(["restore", again, "vm-1", "latest", target, "--force"]);
    expect((await readFile(target)).equals(await readFile(image))).toBe(true);
    expect(await run("vault", "restore", again, "vm-1", "latest", root, "--force")).toMatchObject({
      code: 2,
    });
    await must(["export", again, "vm-1", "latest", second]);
    expect((await stat(second)).blocks * 512).toBeLessThan(4 * MiB);
  });

  it("answers mistakes with a way out, and writes nothing", async () => {
    const [vault, key] = [path("vault"), path("key.json")];
    const image = await makeImage(MiB, 0);
    await must(["init", vault, "--key-file", key]);
    const before = await readdir(vault, { recursive: true });
    const mistakes: [number, string, ...string[]][] = [
      [2, "Did you mean backup?", "vault", "bakcup", vault],
      [2, "Did you mean --json?", "vault", "ls", vault, "--jsn"],
      [2, "Usage: holdfast vault restore <vault> <item> <point> <target>", "vault", "restore", vault, "vm-1"],
      [2, 'does not know what to do with "more"', "vault", "verify", vault, "more"],
      [2, "Did you mean vault?", "valt"],
      [2, "Name them apart", "vault", "backup", vault, "vm-1", image, image],
      [2, "--part is n/m", "vault", "verify", vault, "--part", "5/4"],
      [2, "--level is 1 to 19", "vault", "init", path("x"), "--no-encryption", "--level", "99"],
      [2, "power of two", "vault", "init", path("x"), "--no-encryption", "--chunk-size", "100K"],
      [2, "A container URL ends in /v-<name>", "vault", "ls", "https://account.invalid/container?sig=SECRET"],
      [4, "no key was given", "vault", "ls", vault],
      [4, "cannot be read as a key file", "vault", "ls", vault, "--key-file", image],
      [3, "There is no vault at", "vault", "ls", path("nowhere"), "--key-file", key],
    ];
    const endings = await Promise.all(mistakes.map(([, , ...args]) => run(...args)));
    for (const [index, [code, words]] of mistakes.entries()) {
      expect(endings[index]?.stderr).toContain(words);
      expect([endings[index]?.code, words]).toEqual([code, words]);
      expect(endings[index]?.stderr).not.toMatch(/SECRET|\n {4}at /);
    }
    expect(await readdir(vault, { recursive: true })).toEqual(before);
    const json = await runHoldfast(["vault", "ls", vault, "--json"]);
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "HoldfastNoKey", kind: "denied" }, exitCode: 4 });
  });

  it("explains every command, with examples", async () => {
    const overview = (await run("--help")).stdout;
    const names = [...overview.matchAll(/^ {2}([a-z-]+) {2,}/gm)].map((match) => match[1] as string);
    expect(names).toHaveLength(17);
    const helps = await Promise.all(names.map((name) => run("vault", name, "--help")));
    for (const [index, { code, stdout }] of helps.entries()) {
      expect(code).toBe(0);
      expect(stdout).toContain(`holdfast vault ${names[index]}`);
      expect(stdout).toContain("Examples:");
    }
  });

  it("keeps signatures and account keys out of whatever it says", () => {
    expect(withoutSecrets("GET https://a.invalid/v-x/p?sv=1&sig=aB%2F9%3D&se=2: AccountKey=k3y==;Name=x")).toBe(
      "GET https://a.invalid/v-x/p?sv=1&sig=***&se=2: AccountKey=***;Name=x",
    );
  });
});
