// The bootstrap in small made-up projects: the real script, real processes, and in place of npm a program that writes
// down how it was called and installs what the test tells it to.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const BOOTSTRAP = join(import.meta.dirname, "../../localhost/bootstrap.mjs");
const OLD_NODE = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.0.0' } });";
const NODE_PACKAGE = `${process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node"}-${process.platform}-${process.arch}`;

const LOCK_FILE = JSON.stringify({
  packages: {
    "": { name: "made-up" },
    "node_modules/a": { version: "1.0.0", integrity: "sha512-a" },
    "node_modules/a-elsewhere": { version: "1.0.0", integrity: "sha512-b", optional: true },
    "node_modules/node": { version: "24.1.0", integrity: "sha512-c", optional: true },
  },
});
const INSTALLED = JSON.stringify({ packages: { "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } } });

const projects: Project[] = [];
afterEach(() => {
  for (const project of projects.splice(0)) rmSync(project.folder, { recursive: true });
});

/** A folder with the bootstrap and a command to run. */
class Project {
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-bootstrap-"));

  constructor(files: Record<string, string> = {}) {
    projects.push(this);
    const npm = `
      const { appendFileSync } = require("node:fs");
      appendFileSync(${JSON.stringify(join(this.folder, "npm-calls"))}, process.argv.slice(2).join(" ") + "\\n");`;
    this.write({ "package-lock.json": LOCK_FILE, "npm-cli.js": npm, ...files });
    mkdirSync(join(this.folder, "localhost"), { recursive: true });
    cpSync(BOOTSTRAP, join(this.folder, "localhost/bootstrap.mjs"));
  }

  write(files: Record<string, string>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true });
      writeFileSync(join(this.folder, path), text);
    }
  }

  /** What the stand-in for npm does besides taking notes. */
  npmAlso(code: string): void {
    this.write({ "npm-cli.js": `${readFileSync(join(this.folder, "npm-cli.js"), "utf8")}\n${code}` });
  }

  npmCalls(): string[] {
    const file = join(this.folder, "npm-calls");
    return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
  }

  start(args: readonly string[], { asOldNode = false, env = {} as Record<string, string> } = {}) {
    const nodeArgs = asOldNode ? ["--import", `data:text/javascript,${encodeURIComponent(OLD_NODE)}`] : [];
    const { npm_lifecycle_event: _, ...inherited } = process.env;
    return spawn(process.execPath, [...nodeArgs, join(this.folder, "localhost/bootstrap.mjs"), ...args], {
      env: { ...inherited, npm_execpath: join(this.folder, "npm-cli.js"), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async run(args: readonly string[], options: { asOldNode?: boolean } = {}) {
    const child = this.start(args, options);
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text) => {
      stdout += text;
    });
    child.stderr.on("data", (text) => {
      stderr += text;
    });
    const [code, signal] = await once(child, "close");
    return { code, signal, stdout, stderr };
  }
}

const installed = { "node_modules/.package-lock.json": INSTALLED };
const installs = (path: string, text: string): string => `
  require("node:fs").mkdirSync(${JSON.stringify(dirname(path))}, { recursive: true });
  require("node:fs").writeFileSync(${JSON.stringify(path)}, ${JSON.stringify(text)});`;

describe("the bootstrap", () => {
  it("hands over arguments, working folder, output and exit code", async () => {
    const project = new Project({
      ...installed,
      "localhost/main.ts": "console.log(JSON.stringify([process.argv.slice(2), process.cwd()])); process.exit(7);",
    });
    const { code, stdout, stderr } = await project.run(["start", "--port", "1"]);
    expect([code, JSON.parse(stdout), stderr]).toEqual([7, [["--port", "1"], project.folder], ""]);
  });

  it("says which commands there are", async () => {
    const { code, stderr } = await new Project(installed).run(["deploy"]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      '"deploy" is not a command of this project; there are: start, test, check, build, bench, demo.\n',
    );
  });

  it("runs all steps of a check, and fails if the first does", async () => {
    const step = (name: string, code: number) => `console.log("${name}"); process.exitCode = ${code};`;
    const { code, stdout } = await new Project({
      ...installed,
      "node_modules/typescript/bin/tsc": step("types", 3),
      "node_modules/@biomejs/biome/bin/biome": step("lint", 0),
      "node_modules/vitest/vitest.mjs": step("tidy", 0),
    }).run(["check"]);
    expect([code, stdout]).toEqual([3, "types\nlint\ntidy\n"]);
  });
});

describe("installing", () => {
  const main = { "localhost/main.ts": "console.log('runs');" };

  it("happens when nothing is installed, and not again", async () => {
    const project = new Project(main);
    project.npmAlso(installs(join(project.folder, "node_modules/.package-lock.json"), INSTALLED));
    expect((await project.run(["start"])).stdout).toBe("runs\n");
    expect((await project.run(["start"])).stdout).toBe("runs\n");
    expect(project.npmCalls()).toEqual(["ci --include=dev --include=optional --no-audit --no-fund --loglevel=error"]);
  });

  it("happens again when the lock file names another version", async () => {
    const project = new Project({ ...main, ...installed });
    expect((await project.run(["start"])).code).toBe(0);
    expect(project.npmCalls()).toEqual([]);
    project.write({ "package-lock.json": LOCK_FILE.replace("1.0.0", "1.0.1") });
    await project.run(["start"]);
    expect(project.npmCalls()).toHaveLength(1);
  });

  it("keeps stdout for the command", async () => {
    const project = new Project(main);
    project.npmAlso("console.log('npm speaks');");
    const { stdout, stderr } = await project.run(["start"]);
    expect(stdout).toBe("runs\n");
    expect(stderr).toContain("npm speaks");
  });

  it("ends everything with npm's exit code when npm fails", async () => {
    const project = new Project(main);
    project.npmAlso("process.exit(5);");
    const { code, stdout, stderr } = await project.run(["start"]);
    expect([code, stdout]).toEqual([5, ""]);
    expect(stderr).toContain("npm ci failed; its own lines above say why.");
  });
});

describe.skipIf(process.platform === "win32")("on a machine with an old Node", () => {
  const main = { "localhost/main.ts": "console.log(process.version);" };
  const node = `#!/bin/sh\nexec '${process.execPath}' "$@"\n`;

  it("uses the Node that npm installed as a package", async () => {
    const project = new Project({ ...main, ...installed, "node_modules/node/bin/node": node });
    chmodSync(join(project.folder, "node_modules/node/bin/node"), 0o755);
    const { stdout } = await project.run(["start"], { asOldNode: true });
    expect(stdout).toBe(`${process.version}\n`);
    expect(project.npmCalls()).toEqual([]);
  });

  it("lets npm unpack it where install scripts are blocked, once", async () => {
    const project = new Project({ ...main, ...installed });
    const file = join(project.folder, "node_modules/.node/node_modules", NODE_PACKAGE, "bin/node");
    project.npmAlso(`${installs(file, node)} require("node:fs").chmodSync(${JSON.stringify(file)}, 0o755);`);
    expect((await project.run(["start"], { asOldNode: true })).stdout).toBe(`${process.version}\n`);
    expect((await project.run(["start"], { asOldNode: true })).stdout).toBe(`${process.version}\n`);
    expect(project.npmCalls()).toEqual([
      expect.stringContaining(`--ignore-scripts --no-audit --no-fund ${NODE_PACKAGE}@24.1.0`),
    ]);
  });

  it("says in one sentence what to install when npm has none", async () => {
    const { code, stdout, stderr } = await new Project({ ...main, ...installed }).run(["start"], { asOldNode: true });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr.trimEnd().split("\n").at(-1)).toBe(
      "Holdfast needs Node 24 or newer, but this machine has Node 20.0.0, and npm could not provide a newer one as a " +
        "package: install it from https://nodejs.org and try again.",
    );
  });
});

describe.skipIf(process.platform === "win32")("signals", () => {
  const firstLine = async (child: ReturnType<Project["start"]>): Promise<string> => {
    const [text] = await once(child.stdout, "data");
    return String(text).trimEnd();
  };

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s reaches the command, whose exit code counts",
    async (signal) => {
      const project = new Project({
        ...installed,
        "localhost/main.ts": `process.on("${signal}", () => process.exit(9)); console.log("up"); setTimeout(() => {}, 25_000);`,
      });
      const child = project.start(["start"]);
      expect(await firstLine(child)).toBe("up");
      child.kill(signal);
      expect(await once(child, "close")).toEqual([9, null]);
    },
  );

  it("that end the command end the bootstrap in the same way", async () => {
    const project = new Project({ ...installed, "localhost/main.ts": "process.kill(process.pid, 'SIGKILL');" });
    expect(await project.run(["start"])).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  it("skip what would have come next", async () => {
    const project = new Project({
      ...installed,
      "node_modules/typescript/bin/tsc":
        "process.on('SIGINT', () => process.exit(1)); console.log('up'); setTimeout(() => {}, 25_000);",
      "node_modules/@biomejs/biome/bin/biome": "console.log('next');",
      "node_modules/vitest/vitest.mjs": "console.log('last');",
    });
    const child = project.start(["check"]);
    let stdout = "";
    child.stdout.on("data", (text) => {
      stdout += text;
    });
    expect(await firstLine(child)).toBe("up");
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([1, null]);
    expect(stdout).toBe("up\n");
  });

  it("to npm alone end the command too", async () => {
    const project = new Project({
      ...installed,
      "localhost/main.ts":
        "process.on('SIGTERM', () => process.exit(0)); console.log(process.pid); setTimeout(() => {}, 25_000);",
    });
    const npm = `require("node:child_process").spawn(process.execPath, ["localhost/bootstrap.mjs", "start"], { stdio: "inherit" });`;
    const parent = spawn(process.execPath, ["--eval", npm], {
      cwd: project.folder,
      env: { ...process.env, npm_lifecycle_event: "start" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [pid] = await once(parent.stdout, "data");
    parent.kill("SIGKILL");
    // The command holds the other end of the pipe, so it closes when the command is gone.
    await once(parent.stdout, "close");
    expect(() => process.kill(Number(pid), 0)).toThrow("ESRCH");
  });
});
