// Which function answers a request. As in the real host, routes are not ordered by how specific they are: functions
// are ordered by name regardless of case, and the first whose template and methods match wins. A function with a
// route that the real host would refuse is refused here too, with the reason, and the others are served. Pure.

import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { FunctionEntry } from "../function-entry.ts";
import { matchRoute, type RoutePath, type RouteValues } from "./route-match.ts";
import { parseRouteTemplate, type RouteTemplate } from "./route-template.ts";

export interface Route {
  readonly entry: FunctionEntry;
  readonly template: RouteTemplate;
  /** In capitals; undefined means any. */
  readonly methods: readonly string[] | undefined;
}

export interface RefusedRoute {
  readonly entry: FunctionEntry;
  readonly failure: HoldfastFailure;
}

export interface RouteTable {
  readonly routes: readonly Route[];
  readonly refused: readonly RefusedRoute[];
}

export interface RouteMatch {
  readonly route: Route;
  readonly values: RouteValues;
}

/** Takes all functions of the app and plans routes for those with an HTTP trigger. */
export function planRoutes(entries: readonly FunctionEntry[], routePrefix: string): RouteTable {
  const routes: Route[] = [];
  const refused: RefusedRoute[] = [];
  for (const entry of entries.filter(({ kind }) => kind === "http").sort(byName)) {
    try {
      const route = planRoute(entry, routePrefix);
      refuseConflict(route, routes);
      routes.push(route);
    } catch (thrown) {
      if (!(thrown instanceof HoldfastFailure)) throw thrown;
      refused.push({ entry, failure: thrown });
    }
  }
  return { routes, refused };
}

export function findRoute(routes: readonly Route[], method: string, path: RoutePath): RouteMatch | undefined {
  for (const route of routes) {
    if (route.methods !== undefined && !route.methods.includes(method)) continue;
    const values = matchRoute(route.template, path);
    if (values !== undefined) return { route, values };
  }
  return undefined;
}

/** .NET's order regardless of case compares capitals: an underscore comes after the letters. */
function byName(left: FunctionEntry, right: FunctionEntry): number {
  const [a, b] = [left.name.toUpperCase(), right.name.toUpperCase()];
  return a < b ? -1 : a > b ? 1 : 0;
}

function planRoute(entry: FunctionEntry, routePrefix: string): Route {
  const route = routeOf(entry);
  const text = routePrefix === "" ? route : `${routePrefix}/${route}`;
  if (/^\/*(?:admin|runtime)/i.test(route)) {
    throw refusal(
      "RouteReserved",
      `The route "${route}" of function "${entry.name}" begins with "admin" or "runtime"`,
      "The Functions host keeps these addresses for itself, whatever the route prefix; choose another first word.",
    );
  }
  try {
    return { entry, template: parseRouteTemplate(text), methods: methodsOf(entry) };
  } catch (thrown) {
    if (!(thrown instanceof HoldfastFailure) || thrown.code !== "RouteTemplateInvalid") throw thrown;
    throw refusal(
      thrown.code,
      `The route "${text}" of function "${entry.name}" is malformed: ${thrown.message}`,
      thrown.hint,
    );
  }
}

function routeOf(entry: FunctionEntry): string {
  const { route } = entry.trigger;
  return typeof route === "string" && route.trim() !== "" ? route : entry.name;
}

function methodsOf(entry: FunctionEntry): readonly string[] | undefined {
  const { methods } = entry.trigger;
  if (methods === undefined || methods === null) return undefined;
  if (Array.isArray(methods) && methods.length > 0 && methods.every((method) => typeof method === "string")) {
    return methods.map((method) => method.toUpperCase());
  }
  throw refusal(
    "RouteMethodsInvalid",
    `The methods of function "${entry.name}" are ${JSON.stringify(methods)}, so nothing could ever call it`,
    'Give a list of at least one method, as in methods: ["GET"], or leave it out for GET and POST.',
  );
}

function refuseConflict(route: Route, earlier: readonly Route[]): void {
  const text = bareTemplate(route);
  const rival = earlier.find((other) => bareTemplate(other) === text && shareMethod(route.methods, other.methods));
  if (rival === undefined) return;
  throw refusal(
    "RouteConflict",
    `The route "${route.template.text}" of function "${route.entry.name}" is already that of "${rival.entry.name}"`,
    "Give each its own route, or its own methods.",
  );
}

function bareTemplate(route: Route): string {
  return route.template.text.replace(/^\/+|\/+$/g, "").toLowerCase();
}

function shareMethod(left: readonly string[] | undefined, right: readonly string[] | undefined): boolean {
  return left === undefined || right === undefined || left.some((method) => right.includes(method));
}

function refusal(code: string, message: string, hint: string | undefined): HoldfastFailure {
  return new HoldfastFailure("invalid", code, message, hint === undefined ? {} : { hint });
}
