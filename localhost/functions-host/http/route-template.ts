// Route templates in the language of ASP.NET Core, which the real Functions host uses:
//
//   items/{id:int}/{view=short}   files/{name}.{extension?}   {*rest}
//
// parseRouteTemplate reads one, or says what is wrong with it in words that name the place; route-match.ts matches
// paths against it. Braces are written twice to mean themselves, inside regular expressions too. Pure.

import { HoldfastFailure } from "../../../src/base/failure.ts";
import { parseConstraint, type RouteConstraint } from "./route-constraint.ts";

export interface RouteTemplate {
  readonly text: string;
  readonly segments: readonly RouteSegment[];
  readonly parameters: readonly RouteParameter[];
}

export type RouteSegment =
  | { readonly kind: "literal"; readonly folded: string }
  | { readonly kind: "parameter"; readonly parameter: RouteParameter }
  /** Takes the rest of the path; always the last one. */
  | { readonly kind: "catch-all"; readonly parameter: RouteParameter }
  /** Several parts between two slashes: `{name}.{extension?}`, `v{major}`. */
  | { readonly kind: "mixed"; readonly parts: readonly MixedPart[] };

export type MixedPart = { readonly folded: string } | { readonly parameter: RouteParameter };

export interface RouteParameter {
  readonly name: string;
  readonly optional: boolean;
  readonly defaultValue: string | undefined;
  readonly constraints: readonly RouteConstraint[];
}

type RawPart = { readonly literal: string } | { readonly parameter: RouteParameter; readonly catchAll: boolean };

/** Upper and lower case are one in literals. Keeps the length, so that places in the folded text are places in the text. */
export function foldCase(text: string): string {
  const folded = text.toLowerCase();
  return folded.length === text.length ? folded : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

export function parseRouteTemplate(text: string): RouteTemplate {
  const segments = splitSegments(text).map((raw) => toSegment(raw));
  segments.forEach((segment, index) => {
    if (segment.kind === "catch-all" && index < segments.length - 1) {
      throw refusal(`The catch-all parameter "${segment.parameter.name}" is not the last segment`);
    }
  });
  const parameters = segments.flatMap(parametersOf);
  const seen = new Set<string>();
  for (const { name } of parameters) {
    if (seen.has(name.toLowerCase())) throw refusal(`The parameter "${name}" appears more than once`);
    seen.add(name.toLowerCase());
  }
  return { text, segments, parameters };
}

function splitSegments(text: string): RawPart[][] {
  const start = text.startsWith("~/") ? 2 : text.startsWith("/") ? 1 : 0;
  if (start === 0 && text.startsWith("~")) throw refusal('A "~" at the start is followed by a "/"');
  const segments: RawPart[][] = [];
  let at = start;
  while (at < text.length) {
    const parts: RawPart[] = [];
    while (at < text.length && text[at] !== "/") {
      const read = opensParameter(text, at) ? readParameter(text, at) : readLiteral(text, at);
      parts.push(read.part);
      at = read.end;
    }
    if (parts.length === 0) throw refusal('Two "/" follow each other, or the route itself begins with one');
    segments.push(parts);
    at += 1;
  }
  return segments;
}

function opensParameter(text: string, at: number): boolean {
  return text[at] === "{" && text[at + 1] !== "{";
}

function readLiteral(text: string, start: number): { part: RawPart; end: number } {
  let literal = "";
  let at = start;
  while (at < text.length && text[at] !== "/" && !opensParameter(text, at)) {
    const character = text[at] ?? "";
    if (character === "?") throw refusal('A "?" can stand only at the end of a parameter, as in "{id?}"');
    const isBrace = character === "{" || character === "}";
    if (isBrace && text[at + 1] !== character) throw refusal(`A "${character}" has no counterpart`);
    literal += character;
    at += isBrace ? 2 : 1;
  }
  return { part: { literal }, end: at };
}

function readParameter(text: string, start: number): { part: RawPart; end: number } {
  let content = "";
  let at = start + 1;
  while (at < text.length) {
    const character = text[at] ?? "";
    const doubled = text[at + 1] === character;
    if (character === "}" && !doubled) return { part: parseParameter(content), end: at + 1 };
    if (character === "{" && !doubled) {
      throw refusal('A "{" inside a parameter is written twice, as in "{p:regex(^a{{2}}$)}"');
    }
    content += character;
    at += character === "{" || character === "}" ? 2 : 1;
  }
  throw refusal(`The parameter "{${content}" is not closed by a "}"`);
}

function parseParameter(content: string): RawPart {
  const stars = /^\*{0,2}/.exec(content)?.[0].length ?? 0;
  const optional = content.endsWith("?");
  const body = content.slice(stars, optional ? -1 : undefined);
  const name = /^[^:=]*/.exec(body)?.[0] ?? "";
  if (!/^[^{}/?*\s]+$/.test(name)) throw refusal(`"${name}" is no parameter name`);
  const { constraintTexts, defaultValue } = splitAfterName(body.slice(name.length));
  if (optional && defaultValue !== undefined) throw refusal(`The optional parameter "${name}" has a default value`);
  if (optional && stars > 0) throw refusal(`The catch-all parameter "${name}" is optional anyway: leave the "?" out`);
  const constraints = constraintTexts.map(parseConstraint);
  return { parameter: { name, optional, defaultValue, constraints }, catchAll: stars > 0 };
}

/** Cuts `:int:min(1)=5` into its constraints and the default value; inside parentheses nothing is cut. */
function splitAfterName(text: string): { constraintTexts: string[]; defaultValue: string | undefined } {
  const constraintTexts: string[] = [];
  let at = 0;
  while (text[at] === ":") {
    const end = endOfConstraint(text, at + 1);
    const constraint = text.slice(at + 1, end);
    if (constraint !== "") constraintTexts.push(constraint);
    at = end;
  }
  return { constraintTexts, defaultValue: text[at] === "=" ? text.slice(at + 1) : undefined };
}

function endOfConstraint(text: string, start: number): number {
  let insideParentheses = false;
  for (let at = start; at < text.length; at += 1) {
    const next = text[at + 1];
    if (text[at] === "(") insideParentheses = true;
    // A parenthesis inside a regular expression closes the constraint only where the constraint can end.
    else if (text[at] === ")" && (next === undefined || next === ":" || next === "=")) insideParentheses = false;
    else if (!insideParentheses && (text[at] === ":" || text[at] === "=")) return at;
  }
  return text.length;
}

function toSegment(parts: readonly RawPart[]): RouteSegment {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) {
    if ("literal" in only) return { kind: "literal", folded: foldCase(only.literal) };
    return { kind: only.catchAll ? "catch-all" : "parameter", parameter: only.parameter };
  }
  checkMixed(parts);
  return {
    kind: "mixed",
    parts: parts.map((part) =>
      "literal" in part ? { folded: foldCase(part.literal) } : { parameter: part.parameter },
    ),
  };
}

function checkMixed(parts: readonly RawPart[]): void {
  parts.forEach((part, index) => {
    if ("literal" in part) return;
    const { name, optional } = part.parameter;
    const before = parts[index - 1];
    if (part.catchAll) throw refusal(`The catch-all parameter "${name}" shares its segment with something else`);
    if (before !== undefined && "parameter" in before) {
      throw refusal(`The parameters "${before.parameter.name}" and "${name}" follow each other with nothing between`);
    }
    if (!optional) return;
    if (index < parts.length - 1) throw refusal(`The optional parameter "${name}" is not at the end of its segment`);
    if (before === undefined || before.literal !== ".") {
      throw refusal(`Only a "." can stand before the optional parameter "${name}" in its segment`);
    }
  });
}

function parametersOf(segment: RouteSegment): RouteParameter[] {
  if (segment.kind === "literal") return [];
  if (segment.kind !== "mixed") return [segment.parameter];
  return segment.parts.flatMap((part) => ("parameter" in part ? [part.parameter] : []));
}

function refusal(message: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "RouteTemplateInvalid", message);
}
