// Which lines are wanted: host.json's logging.logLevel, read as the real host reads it. The longest category that is a
// prefix of the line's category wins; "default" stands for all others; one "*" in a category matches anything.

import type { LogLevel } from "./host-log.ts";

export type LogThreshold = LogLevel | "none";

const RANK: Readonly<Record<LogThreshold, number>> = {
  trace: 0,
  debug: 1,
  information: 2,
  warning: 3,
  error: 4,
  critical: 5,
  none: 6,
};

export type LogFilter = (level: LogLevel, category: string) => boolean;

export function planLogFilter(levels: Readonly<Record<string, LogThreshold>>): LogFilter {
  const rules = Object.entries(levels)
    .filter(([category]) => category.toLowerCase() !== "default")
    .toSorted(([a], [b]) => b.length - a.length);
  const fallback = Object.entries(levels).find(([category]) => category.toLowerCase() === "default")?.[1];
  // Categories are few (a handful for each function), lines are many.
  const rankOf = new Map<string, number>();
  return (level, category) => {
    let rank = rankOf.get(category);
    if (rank === undefined) {
      const rule = rules.find(([pattern]) => matches(pattern.toLowerCase(), category.toLowerCase()));
      rank = RANK[rule?.[1] ?? fallback ?? "information"];
      rankOf.set(category, rank);
    }
    return RANK[level] >= rank;
  };
}

function matches(pattern: string, category: string): boolean {
  const [prefix = "", suffix = ""] = pattern.split("*", 2);
  return category.length >= prefix.length + suffix.length && category.startsWith(prefix) && category.endsWith(suffix);
}
