// Matching a decoded request path against a route template, as the real host's router does: segment by segment,
// regardless of case in literals, a trailing slash ignored, and from the right inside a segment of several parts.
// Nothing is captured before the whole path fits, because most templates tried do not. Pure.

import {
  foldCase,
  type MixedPart,
  type RouteParameter,
  type RouteSegment,
  type RouteTemplate,
} from "./route-template.ts";

/** A decoded path, cut once for all templates it is tried against. */
export interface RoutePath {
  readonly text: string;
  readonly segments: readonly string[];
  readonly folded: readonly string[];
}

export type RouteValues = Record<string, string>;

export function splitPath(text: string): RoutePath {
  const segments = cut(text);
  const foldedText = foldCase(text);
  return { text, segments, folded: foldedText === text ? segments : cut(foldedText) };
}

/** The values of the template's parameters, defaults included and absent optional ones left out; undefined: no match. */
export function matchRoute(template: RouteTemplate, path: RoutePath): RouteValues | undefined {
  if (!couldMatch(template.segments, path)) return undefined;
  const values: RouteValues = Object.create(null);
  for (const [index, segment] of template.segments.entries()) {
    if (index < path.segments.length && !capture(segment, path, index, values)) return undefined;
  }
  for (const { name, defaultValue } of template.parameters) {
    if (defaultValue !== undefined && values[name] === undefined) values[name] = defaultValue;
  }
  return template.parameters.every((parameter) => isAccepted(parameter, values[parameter.name])) ? values : undefined;
}

function cut(path: string): string[] {
  const end = path.length > 1 && path.endsWith("/") ? path.length - 1 : path.length;
  return end <= 1 && !path.startsWith("//") ? [] : path.slice(1, end).split("/");
}

function couldMatch(segments: readonly RouteSegment[], path: RoutePath): boolean {
  const given = path.folded.length;
  for (let index = 0; index < given; index += 1) {
    const segment = segments[index];
    if (segment === undefined || path.folded[index] === "") return false;
    if (segment.kind === "catch-all") return true;
    if (segment.kind === "literal" && segment.folded !== path.folded[index]) return false;
  }
  for (let index = given; index < segments.length; index += 1) {
    const segment = segments[index];
    if (segment === undefined || segment.kind === "literal" || segment.kind === "mixed") return false;
    if (segment.kind === "catch-all") return true;
    if (!segment.parameter.optional && segment.parameter.defaultValue === undefined) return false;
  }
  return true;
}

function capture(segment: RouteSegment, path: RoutePath, index: number, values: RouteValues): boolean {
  if (segment.kind === "literal") return true;
  const text = path.segments[index] ?? "";
  if (segment.kind === "mixed") return captureMixed(segment.parts, text, path.folded[index] ?? "", values);
  values[segment.parameter.name] = segment.kind === "catch-all" ? restOfPath(path, index) : text;
  return true;
}

/** What a catch-all takes is a piece of the path as it came: a trailing slash belongs to it. */
function restOfPath(path: RoutePath, index: number): string {
  let offset = 1;
  for (let before = 0; before < index; before += 1) offset += (path.segments[before]?.length ?? 0) + 1;
  return path.text.slice(offset);
}

/** `name.{ext?}` also matches without the dot and the extension, but not with the dot alone. */
function captureMixed(parts: readonly MixedPart[], text: string, folded: string, values: RouteValues): boolean {
  if (captureFromRight(parts, text, folded, values)) return true;
  const last = parts.at(-1);
  const lastIsOptional = last !== undefined && "parameter" in last && last.parameter.optional;
  return lastIsOptional && !text.endsWith(".") && captureFromRight(parts.slice(0, -2), text, folded, values);
}

/** Each literal is sought as far right as it can stand; a parameter takes what lies between two of them, never nothing. */
function captureFromRight(parts: readonly MixedPart[], text: string, folded: string, values: RouteValues): boolean {
  const found: RouteValues = {};
  let end = text.length;
  let waiting: RouteParameter | undefined;
  for (let index = parts.length - 1; index >= 0; index -= 1) {
    const part = parts[index];
    if (part === undefined) return false;
    if ("parameter" in part) {
      waiting = part.parameter;
      continue;
    }
    const from = end - part.folded.length - (waiting === undefined ? 0 : 1);
    const start = from < 0 ? -1 : folded.lastIndexOf(part.folded, from);
    if (start < 0 || (waiting === undefined && start + part.folded.length !== end)) return false;
    if (waiting !== undefined) found[waiting.name] = text.slice(start + part.folded.length, end);
    waiting = undefined;
    end = start;
  }
  if (waiting === undefined ? end !== 0 : end === 0) return false;
  if (waiting !== undefined) found[waiting.name] = text.slice(0, end);
  Object.assign(values, found);
  return true;
}

function isAccepted(parameter: RouteParameter, value: string | undefined): boolean {
  if (parameter.constraints.length === 0) return true;
  if (value === undefined) return parameter.optional;
  return parameter.constraints.every((constraint) => constraint.accepts(value));
}
