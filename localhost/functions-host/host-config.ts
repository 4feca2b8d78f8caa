// host.json and local.settings.json, read once into one typed value. Comments and trailing commas are tolerated, as
// the real host does; keys it does not know are left alone; a value of the wrong form fails and names file and key.

import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { HoldfastFailure, messageOf } from "../../src/base/failure.ts";
import type { HubSettings } from "../task-hub/hub-settings.ts";
import type { CorsSettings } from "./http/cors.ts";
import { parseJsonWithComments } from "./json-with-comments.ts";
import type { LogThreshold } from "./log-levels.ts";

export interface HostConfig {
  readonly routePrefix: string;
  /** Undefined: no limit. */
  readonly functionTimeoutMs: number | undefined;
  /** By category prefix; "default" for all others. */
  readonly logLevels: Readonly<Record<string, LogThreshold>>;
  readonly hub: HubSettings;
  /** `Values` of local.settings.json: the app's settings. */
  readonly values: Readonly<Record<string, string>>;
  readonly localPort: number | undefined;
  readonly cors: CorsSettings | undefined;
}

const DEFAULT_TIMEOUT_MS = 30 * 60_000;
const DEFAULT_KEEP_FINISHED_DAYS = 30;
const LOG_LEVELS: Readonly<Record<string, LogThreshold>> = {
  trace: "trace",
  debug: "debug",
  information: "information",
  warning: "warning",
  error: "error",
  critical: "critical",
  none: "none",
};

export function readHostConfig(appFolder: string): HostConfig {
  const host = new SettingsFile(join(appFolder, "host.json"));
  const local = new SettingsFile(join(appFolder, "local.settings.json"));
  if (local.flag("IsEncrypted")) {
    throw new HoldfastFailure("invalid", "SettingsEncrypted", `The values in ${local.path} are encrypted.`, {
      hint: "Only Core Tools can read them: run `func settings decrypt` in the app's folder.",
    });
  }
  const values = local.texts("Values");
  const setting = (text: string): string => resolveSettings(text, values, host.path);
  return {
    routePrefix: host.text("extensions.http.routePrefix") ?? "api",
    functionTimeoutMs: timeoutMs(host),
    logLevels: logLevels(host),
    hub: hubSettings(host, setting),
    values,
    localPort: local.integer("Host.LocalHttpPort", 0, 65_535),
    cors: corsSettings(local),
  };
}

function hubSettings(host: SettingsFile, setting: (text: string) => string): HubSettings {
  const key = (name: string): string => `extensions.durableTask.${name}`;
  const tenPerCore = 10 * availableParallelism();
  const overridable = host.text(key("overridableExistingInstanceStates"));
  return {
    hubName: setting(host.text(key("hubName")) ?? "TestHubName"),
    maxConcurrentActivityFunctions: host.integer(key("maxConcurrentActivityFunctions"), 1) ?? tenPerCore,
    maxConcurrentOrchestratorFunctions: host.integer(key("maxConcurrentOrchestratorFunctions"), 1) ?? tenPerCore,
    maxOrchestrationActions: host.integer(key("maxOrchestrationActions"), 1) ?? 100_000,
    overridableExistingInstanceStates: overridable?.toLowerCase() === "anystate" ? "AnyState" : "NonRunningStates",
    keepFinishedDays: DEFAULT_KEEP_FINISHED_DAYS,
    checksSequence: false,
  };
}

function timeoutMs(host: SettingsFile): number | undefined {
  const text = host.text("functionTimeout");
  if (text === undefined) return DEFAULT_TIMEOUT_MS;
  if (text === "-1") return undefined;
  const [, days = "0", hours = "0", minutes = "0", seconds = "0"] =
    /^(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)$/.exec(text) ??
    host.refuse("functionTimeout", "'hh:mm:ss' or '-1'");
  return (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
}

function logLevels(host: SettingsFile): Record<string, LogThreshold> {
  const levels: Record<string, LogThreshold> = {};
  for (const [category, text] of Object.entries(host.texts("logging.logLevel"))) {
    const level = LOG_LEVELS[text.toLowerCase()];
    if (level === undefined)
      host.refuse(`logging.logLevel.${category}`, `one of ${Object.keys(LOG_LEVELS).join(", ")}`);
    else levels[category] = level;
  }
  return levels;
}

function corsSettings(local: SettingsFile): CorsSettings | undefined {
  const origins = local.text("Host.CORS");
  if (origins === undefined) return undefined;
  return {
    origins: origins.split(",").map((origin) => origin.trim()),
    credentials: local.flag("Host.CORSCredentials") ?? false,
  };
}

/** Replaces `%NAME%` by the setting of that name, from the environment or local.settings.json. */
export function resolveSettings(text: string, values: Readonly<Record<string, string>>, whereFrom: string): string {
  return text.replaceAll(/%([^%]+)%/g, (_, name: string) => {
    const value = process.env[name] ?? values[name];
    if (value !== undefined) return value;
    throw new HoldfastFailure(
      "invalid",
      "SettingMissing",
      `'%${name}%' in ${whereFrom} names a setting that is not set.`,
      {
        hint: `Set the environment variable ${name}, or put it under "Values" in local.settings.json.`,
      },
    );
  });
}

/** One JSON file of settings, read by dotted keys. A file that is not there has no settings. */
class SettingsFile {
  readonly path: string;
  readonly #root: unknown;

  constructor(path: string) {
    this.path = path;
    try {
      this.#root = existsSync(path) ? parseJsonWithComments(readFileSync(path, "utf8")) : {};
    } catch (error) {
      throw new HoldfastFailure("invalid", "SettingsInvalid", `${path} is not valid JSON: ${messageOf(error)}`);
    }
  }

  refuse(key: string, expected: string): never {
    const found = JSON.stringify(this.#at(key));
    throw new HoldfastFailure(
      "invalid",
      "SettingInvalid",
      `'${key}' in ${this.path} must be ${expected}, not ${found}.`,
    );
  }

  text(key: string): string | undefined {
    const value = this.#at(key);
    if (value === undefined || value === null) return undefined;
    return typeof value === "string" ? value : this.refuse(key, "a text");
  }

  flag(key: string): boolean | undefined {
    const value = this.#at(key);
    if (value === undefined || value === null) return undefined;
    return typeof value === "boolean" ? value : this.refuse(key, "true or false");
  }

  integer(key: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.#at(key);
    if (value === undefined || value === null) return undefined;
    const isInRange = Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    return isInRange ? (value as number) : this.refuse(key, `a whole number from ${least} on`);
  }

  texts(key: string): Record<string, string> {
    const value = this.#at(key);
    if (value === undefined || value === null) return {};
    if (typeof value !== "object") return this.refuse(key, "an object of texts");
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, String(item)]));
  }

  #at(key: string): unknown {
    let value = this.#root;
    for (const part of key.split(".")) {
      if (typeof value !== "object" || value === null) return undefined;
      value = (value as Record<string, unknown>)[part];
    }
    return value;
  }
}
