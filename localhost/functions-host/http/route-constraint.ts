// The inline constraints of route templates (`{id:int}`, `{name:length(2,8)}`) as ASP.NET Core defines them: a
// constraint looks at the text that a parameter captured and accepts or refuses it. Numbers, dates and booleans are
// parsed the way .NET's invariant culture does, so surrounding blanks and a sign are fine. Pure.

import { HoldfastFailure } from "../../../src/base/failure.ts";

export interface RouteConstraint {
  /** As written in the template, for messages. */
  readonly text: string;
  accepts(value: string): boolean;
}

type Accepts = (value: string) => boolean;

interface ConstraintKind {
  readonly argumentCounts: readonly number[];
  build(args: readonly string[]): Accepts;
}

const INT32 = 2n ** 31n;
const INT64 = 2n ** 63n;
const LARGEST_DECIMAL = 79_228_162_514_264_337_593_543_950_335n;

const KINDS: Readonly<Record<string, ConstraintKind>> = {
  int: plain((value) => integerWithin(value, -INT32, INT32 - 1n)),
  long: plain((value) => integerWithin(value, -INT64, INT64 - 1n)),
  bool: plain((value) => /^(true|false)$/i.test(value.trim())),
  guid: plain(isGuid),
  datetime: plain(isDateTime),
  decimal: plain(isDecimal),
  double: plain(isFloatingPoint),
  float: plain(isFloatingPoint),
  alpha: plain((value) => /^[a-z]*$/i.test(value)),
  required: plain((value) => value !== ""),
  file: plain(isFileName),
  nonfile: plain((value) => !isFileName(value)),
  length: { argumentCounts: [1, 2], build: buildLength },
  minlength: { argumentCounts: [1], build: ([least]) => buildLength([least ?? "", String(INT32 - 1n)]) },
  maxlength: { argumentCounts: [1], build: ([most]) => buildLength(["0", most ?? ""]) },
  min: { argumentCounts: [1], build: ([least]) => buildRange([least ?? "", String(INT64 - 1n)]) },
  max: { argumentCounts: [1], build: ([most]) => buildRange([String(-INT64), most ?? ""]) },
  range: { argumentCounts: [2], build: buildRange },
};

/** Throws a failure that says what is wrong with the constraint; the caller adds whose template it is. */
export function parseConstraint(text: string): RouteConstraint {
  const { name, argumentText } = splitConstraint(text);
  if (name === "regex" && argumentText !== undefined) return { text, accepts: buildRegex(argumentText) };
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind === undefined) {
    throw refusal(`There is no route constraint "${name}"`, `Known ones: ${Object.keys(KINDS).join(", ")}, regex.`);
  }
  const args = argumentText === undefined ? [] : argumentText.split(",").map((argument) => argument.trim());
  if (!kind.argumentCounts.includes(args.length)) {
    const expected = kind.argumentCounts.join(" or ");
    throw refusal(`The constraint "${text}" has ${args.length} arguments, "${name}" takes ${expected}`);
  }
  return { text, accepts: kind.build(args) };
}

function splitConstraint(text: string): { name: string; argumentText: string | undefined } {
  const open = text.indexOf("(");
  if (open < 0 || !text.endsWith(")")) return { name: text.trim().toLowerCase(), argumentText: undefined };
  return { name: text.slice(0, open).trim().toLowerCase(), argumentText: text.slice(open + 1, -1) };
}

function plain(accepts: Accepts): ConstraintKind {
  return { argumentCounts: [0], build: () => accepts };
}

function buildLength(args: readonly string[]): Accepts {
  const least = integerArgument(args[0], INT32);
  const most = args.length === 1 ? least : integerArgument(args[1], INT32);
  if (least < 0n || most < least) throw refusal(`No text can have a length from ${least} to ${most}`);
  return (value) => value.length >= Number(least) && value.length <= Number(most);
}

function buildRange(args: readonly string[]): Accepts {
  const least = integerArgument(args[0], INT64);
  const most = integerArgument(args[1], INT64);
  if (most < least) throw refusal(`No number can be from ${least} to ${most}`);
  return (value) => integerWithin(value, least, most);
}

function integerArgument(text: string | undefined, limit: bigint): bigint {
  if (text === undefined || !integerWithin(text, -limit, limit - 1n)) {
    throw refusal(`"${text ?? ""}" is no whole number that a route constraint can take`);
  }
  return BigInt(text.trim().replace("+", ""));
}

/** Unanchored and regardless of case, as in .NET. What only .NET understands is refused when the app loads. */
function buildRegex(source: string): Accepts {
  const translated = source.replace(/\\([\s\S])/g, (escaped, letter: string) => {
    if (letter === "A") return "^";
    if (letter === "z" || letter === "Z") return "$";
    return escaped;
  });
  try {
    const expression = new RegExp(translated, "i");
    return (value) => expression.test(value);
  } catch (cause) {
    throw refusal(
      `The regular expression "${source}" cannot be used`,
      "This host runs it as a JavaScript expression; write it so that both .NET and JavaScript understand it.",
      cause,
    );
  }
}

function integerWithin(value: string, least: bigint, most: bigint): boolean {
  if (value.length > 100 || !/^\s*[+-]?\d+\s*$/.test(value)) return false;
  const number = BigInt(value.trim().replace("+", ""));
  return number >= least && number <= most;
}

function isDecimal(value: string): boolean {
  const match = /^\s*([+-]?)(\d[\d,]*)?(?:\.(\d*))?([+-]?)\s*$/.exec(value);
  if (match === null || value.length > 100) return false;
  const [, signBefore, whole = "", fraction = "", signAfter] = match;
  if (signBefore !== "" && signAfter !== "") return false;
  if (whole === "" && fraction === "") return false;
  return BigInt(whole.replaceAll(",", "") || "0") <= LARGEST_DECIMAL;
}

function isFloatingPoint(value: string): boolean {
  return /^\s*[+-]?(?:(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?|infinity|∞|nan)\s*$/i.test(value);
}

function isGuid(value: string): boolean {
  const bare = /^\s*(?:\{(.*)\}|\((.*)\)|(.*?))\s*$/.exec(value);
  const digits = bare?.[1] ?? bare?.[2] ?? bare?.[3] ?? "";
  const dashed = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i.test(digits);
  return dashed || (bare?.[3] !== undefined && /^[\da-f]{32}$/i.test(digits));
}

function isFileName(value: string): boolean {
  const lastPart = value.slice(value.lastIndexOf("/") + 1);
  return /\.[^.]/.test(lastPart);
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH_NAME =
  "(?<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
const TIME = "(?<hour>\\d{1,2}):(?<minute>\\d{2})(?::(?<second>\\d{2})(?:\\.\\d{1,7})?)?(?:\\s*(?<half>[ap]m))?";
const ZONE = "(?:\\s*(?:z|gmt|[+-]\\d{1,2}(?::?\\d{2})?))?";
const DATES = [
  "(?<year>\\d{4})[-/.](?<month>\\d{1,2})(?:[-/.](?<day>\\d{1,2}))?",
  "(?<month>\\d{1,2})[-/.](?<day>\\d{1,2})[-/.](?<year>\\d{4}|\\d{2})",
  `(?<day>\\d{1,2})[-\\s]*${MONTH_NAME}[-,\\s]*(?<year>\\d{4})`,
  `${MONTH_NAME}\\s*(?<day>\\d{1,2}),?\\s*(?<year>\\d{4})`,
];
const DATE_TIMES = [
  ...DATES.map((date) => new RegExp(`^\\s*${date}(?:(?:\\s+|t)${TIME}${ZONE})?\\s*$`, "i")),
  new RegExp(`^\\s*${TIME}${ZONE}\\s*$`, "i"),
];

/** The forms of .NET's invariant culture that appear in addresses: ISO 8601, month first, and month names. */
function isDateTime(value: string): boolean {
  if (value.length > 100) return false;
  return DATE_TIMES.some((form) => {
    const groups = form.exec(value)?.groups;
    return groups !== undefined && isOnCalendar(groups) && isOnClock(groups);
  });
}

function isOnCalendar(groups: Readonly<Record<string, string | undefined>>): boolean {
  if (groups.year === undefined) return true;
  const year = Number(groups.year);
  const month =
    groups.name === undefined ? Number(groups.month) : MONTHS.indexOf(groups.name.slice(0, 3).toLowerCase()) + 1;
  const day = Number(groups.day ?? "1");
  if ((groups.year.length === 4 && year < 1) || month < 1 || month > 12) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const daysInMonth = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return day >= 1 && day <= daysInMonth;
}

function isOnClock(groups: Readonly<Record<string, string | undefined>>): boolean {
  if (groups.hour === undefined) return true;
  const lastHour = groups.half === undefined ? 23 : 12;
  return Number(groups.hour) <= lastHour && Number(groups.minute) <= 59 && Number(groups.second ?? "0") <= 59;
}

function refusal(message: string, hint?: string, cause?: unknown): HoldfastFailure {
  return new HoldfastFailure("invalid", "RouteTemplateInvalid", message, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}
