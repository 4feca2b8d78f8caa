// Runs the project's commands (`npm start`, `npm test`, ...) on a machine that has npm, any Node from 20 on, and nothing
// else: installs the packages when they are not what the lock file says, finds a Node that runs TypeScript, and hands
// over. Plain JavaScript on node built-ins alone, because it runs before anything is installed.
// Everything it says goes to stderr: stdout belongs to the command.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE_FOR_BOOTSTRAP = 20;
const OLDEST_NODE_FOR_COMMANDS = 24;

const VITEST = "node_modules/vitest/vitest.mjs";

/** What each command runs, step by step. The arguments of the caller go to the last step. */
const COMMANDS = {
  start: [["localhost/main.ts"]],
  test: [[VITEST, "run"]],
  check: [
    ["node_modules/typescript/bin/tsc", "--project", "."],
    ["node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"],
    [VITEST, "run", "test/tidy"],
  ],
  build: [["build.ts"]],
  bench: [["bench/main.ts"]],
  demo: [["localhost/demo.ts"]],
};

/** The C library of Linux keeps what is freed, for each thread by itself, large buffers included: 50 MB of a host's 390. */
const SPARING = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "262144" };
const SPARED = ["start", "demo"];

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const [command = "", ...args] = process.argv.slice(2);
const steps = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
if (steps === undefined) {
  giveUp(`"${command}" is not a command of this project; there are: ${Object.keys(COMMANDS).join(", ")}.`);
}
if (majorOf(process.versions.node) < OLDEST_NODE_FOR_BOOTSTRAP) sayNodeIsMissing();

let interrupted = false;

if (!isInstalled()) await install();
const node = findNode() ?? (await fetchNode()) ?? sayNodeIsMissing();
process.exitCode = await runSteps(steps, args, node);

/** True if node_modules holds what the lock file names. npm leaves the list of what it installed there. */
function isInstalled() {
  const wanted = readPackages("package-lock.json");
  const installed = readPackages("node_modules/.package-lock.json");
  if (wanted === undefined || installed === undefined) return installed !== undefined;
  return Object.entries(wanted).every(([path, { version, integrity, optional }]) => {
    const found = installed[path];
    // Optional packages for other systems are in the lock file and not on the disk.
    if (path === "" || (found === undefined && optional)) return true;
    return found?.version === version && found.integrity === integrity;
  });
}

function readPackages(lockFile) {
  try {
    return JSON.parse(readFileSync(join(root, lockFile), "utf8")).packages;
  } catch {
    return undefined;
  }
}

async function install() {
  say("Installing the packages this project needs (once; this can take a minute)...");
  const verb = existsSync(join(root, "package-lock.json")) ? "ci" : "install";
  // Settings that would leave out what the commands need (NODE_ENV=production, omit=optional) do not apply here.
  // Warnings would be about the Node that runs npm, which is not the one that runs the packages.
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const code = await runNpm([verb, "--include=dev", "--include=optional", ...quiet]);
  if (interrupted) process.exit(code || 1);
  if (code !== 0) giveUp(`npm ${verb} failed; its own lines above say why.`, code);
}

/** The Node this process runs on if it is new enough, else the one npm installed as a package. */
function findNode() {
  if (majorOf(process.versions.node) >= OLDEST_NODE_FOR_COMMANDS && existsSync(process.execPath)) {
    return process.execPath;
  }
  const executable = process.platform === "win32" ? "node.exe" : "node";
  return ["node_modules/node/bin", `${fetchedNodeFolder()}/bin`]
    .map((folder) => join(root, folder, executable))
    .find((file) => majorOf(versionOf(file)) >= OLDEST_NODE_FOR_COMMANDS);
}

/**
 * The package `node` only holds an install script that installs the package with the executable. Where npm is told to
 * run no install scripts, this installs that package directly; nothing but npm unpacking files is involved.
 */
async function fetchNode() {
  const version = readPackages("package-lock.json")?.["node_modules/node"]?.version;
  if (version === undefined) return undefined;
  say(`Installing Node ${version} as an npm package, for this folder only...`);
  const holder = join("node_modules", ".node");
  const flags = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"];
  await runNpm(["install", "--prefix", holder, ...flags, `${nodePackageName()}@${version}`]);
  return findNode();
}

function fetchedNodeFolder() {
  return `node_modules/.node/node_modules/${nodePackageName()}`;
}

function nodePackageName() {
  const system = process.platform === "win32" ? "win" : process.platform;
  const prefix = system === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  return `${prefix}-${system}-${process.arch}`;
}

function versionOf(file) {
  if (!existsSync(file)) return "";
  return spawnSync(file, ["--version"], { encoding: "utf8" }).stdout ?? "";
}

function majorOf(version) {
  return Number.parseInt(version.replace(/^v/, ""), 10);
}

/** npm as the caller runs it; npm tells the scripts it starts where it is. */
function runNpm(npmArgs) {
  const { npm_execpath: npm = "", npm_node_execpath: npmNode = process.execPath } = process.env;
  const stdio = ["ignore", 2, 2];
  if (basename(npm) === "npm-cli.js" && existsSync(npm)) return run(npmNode, [npm, ...npmArgs], { stdio });
  if (process.platform === "win32") return run("npm.cmd", npmArgs, { stdio, shell: true });
  return run("npm", npmArgs, { stdio });
}

/** Runs all steps, so that one run shows everything there is to mend; the first failure is the result. */
async function runSteps(plannedSteps, lastArgs, nodeFile) {
  let result = 0;
  for (const [index, [script, ...scriptArgs]] of plannedSteps.entries()) {
    const extraArgs = index === plannedSteps.length - 1 ? lastArgs : [];
    const code = await run(nodeFile, [join(root, script), ...scriptArgs, ...extraArgs], {
      stdio: "inherit",
      env: { ...(SPARED.includes(command) ? SPARING : {}), ...environmentWith(nodeFile) },
    });
    result ||= code;
    if (interrupted) break;
  }
  return result;
}

/** Programs that start `node` by name get the same Node; what was compiled once is not compiled at the next start. */
function environmentWith(nodeFile) {
  const pathName = Object.keys(process.env).find((name) => name.toUpperCase() === "PATH") ?? "PATH";
  const path = [dirname(nodeFile), process.env[pathName]].filter(Boolean).join(delimiter);
  const cache = { NODE_COMPILE_CACHE: join(root, "node_modules/.cache/compiled") };
  return { ...cache, ...process.env, [pathName]: path };
}

/**
 * Runs one program to its end and resolves to its exit code. Signals go on to it: a terminal sends Ctrl-C to all
 * processes of the group, but whoever started npm sends it to npm alone. A program that died of a signal takes
 * this process along in the same way, for the shell and npm to see.
 */
function run(file, programArgs, options) {
  return new Promise((resolve) => {
    const child = spawn(file, programArgs, { cwd: root, ...options });
    const forward = (signal) => {
      interrupted = true;
      child.kill(signal);
    };
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) process.on(signal, forward);
    const watch = onParentGone(() => forward("SIGTERM"));
    const finish = (code) => {
      clearInterval(watch);
      for (const signal of signals) process.off(signal, forward);
      resolve(code);
    };
    child.on("error", (error) => {
      say(`${basename(file)} could not be started: ${error.message}`);
      finish(1);
    });
    child.on("exit", (code, signal) => {
      finish(code ?? 1);
      if (signal !== null) process.kill(process.pid, signal);
    });
  });
}

/** `kill <npm>` ends npm and the shell it started, and tells nobody else: then the parent of this process is another. */
function onParentGone(act) {
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  return setInterval(() => process.ppid !== parent && act(), 500);
}

function sayNodeIsMissing() {
  const found = `this machine has Node ${process.versions.node}, and npm could not provide a newer one as a package`;
  giveUp(`Holdfast needs Node 24 or newer, but ${found}: install it from https://nodejs.org and try again.`);
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function giveUp(text, code = 1) {
  say(text);
  process.exit(code);
}
