// The port through which every part of the host says something. Text for people or one JSON object a line for
// machines is decided once, in console-log.ts; parts never print by themselves.

export type LogLevel = "trace" | "debug" | "information" | "warning" | "error" | "critical";

export interface LogFields {
  readonly [field: string]: string | number | boolean | undefined;
}

export interface HostLog {
  /** `category` is what host.json's logging.logLevel filters on: `Host`, `Function.<name>`, `Function.<name>.User`, `DurableTask`. */
  write(level: LogLevel, category: string, message: string, fields?: LogFields): void;
}
