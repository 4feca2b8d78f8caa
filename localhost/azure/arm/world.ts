// What every provider of the simulated Azure works with, and the shape of their route tables.
import type { z } from "zod";
import type { AccessGrants } from "../blobs/access-grants.ts";
import type { DiskStore } from "../disks/disk-store.ts";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, headerOf, json } from "../http/call.ts";
import type { Principal } from "../identity/principals.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Entry } from "../state/entry.ts";
import type { OperationFailure, Operations, PlannedOperation } from "./operations.ts";
import { etagOf, inSubscription, type Resource, type Resources, render } from "./resources.ts";
import { groupId, resourceId, type Target } from "./target.ts";

export interface Limits {
  readonly snapshotsPerDisk: number;
  readonly grantsPerFamily: number;
  readonly restorePointsPerVm: number;
}

export interface World {
  readonly state: AzureState;
  readonly disks: DiskStore;
  readonly grants: AccessGrants;
  readonly resources: Resources;
  readonly operations: Operations;
  readonly limits: Limits;
  readonly pageSize: number;
  readonly tenant: string;
  /** How the operation that this request starts is to fail, if a fault says so. */
  readonly operationFault: (call: Call) => OperationFailure | undefined;
  /** Share of a SAS's asked time that is granted; less than 1 only by a fault. */
  readonly grantedShare: (call: Call) => number;
  /** Scheme and host of this process's own socket: where disks are read and written. */
  readonly dataOrigin: () => string;
  /** Where the blobs of storage accounts live (Azurite). */
  readonly blobOrigin: string;
  readonly now: () => number;
}

export interface ArmRequest {
  readonly call: Call;
  readonly caller: Principal;
  readonly target: Target;
  readonly apiVersion: string;
  readonly subscription: string;
  /** Empty for requests on a whole subscription. */
  readonly group: string;
  /** Id of the resource the path names (without the action). */
  readonly id: string;
  /** The body as JSON, read before anything is checked, so that a handler can check and commit in one step. */
  readonly body: unknown;
}

export type ArmHandler = (world: World, request: ArmRequest) => Promise<Answer> | Answer;

/** `METHOD provider/type/{}/…` in lower case → the handler; the last segment of an action's path has no `{}`. */
export type ArmRoutes = Readonly<Record<string, ArmHandler>>;

export function bodyOf<Schema extends z.ZodType>(request: ArmRequest, schema: Schema): z.infer<Schema> {
  const parsed = schema.safeParse(request.body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.join(".") ?? "";
  throw new AzureError(
    400,
    "InvalidParameter",
    `The value of parameter ${path === "" ? "body" : path} is invalid: ${issue?.message ?? "malformed"}.`,
    {
      target: path,
    },
  );
}

/** Resources of one type in the request's group or subscription, one page at a time. */
export function listOf(type: string, show: (world: World, resource: Resource) => unknown = shown): ArmHandler {
  return (world, request) => {
    const scope = request.group === "" ? undefined : `${groupId(request.subscription, request.group)}/`.toLowerCase();
    const found = world.resources
      .ofType(type)
      .filter((resource) =>
        scope === undefined
          ? inSubscription(resource, request.subscription)
          : resource.id.toLowerCase().startsWith(scope),
      );
    return page(world, request, found, (resource) => show(world, resource));
  };
}

export function page<Item>(
  world: World,
  { call }: ArmRequest,
  items: readonly Item[],
  show: (item: Item) => unknown,
): Answer {
  const skip = Number(call.query.get("$skiptoken") ?? 0);
  if (!Number.isSafeInteger(skip) || skip < 0)
    throw new AzureError(400, "InvalidParameter", "The value of parameter $skipToken is invalid.");
  const end = skip + world.pageSize;
  const value = items.slice(skip, end).map(show);
  if (end >= items.length) return json(200, { value });
  const cut = call.url.indexOf("?");
  const query = new URLSearchParams(call.url.slice(cut + 1));
  for (const name of [...query.keys()]) if (name.toLowerCase() === "$skiptoken") query.delete(name);
  query.set("$skipToken", String(end));
  return json(200, { value, nextLink: `${call.origin}${call.url.slice(0, cut)}?${query}` });
}

export function shown(world: World, resource: Resource): unknown {
  return render(resource, world.now());
}

/** If-Match and If-None-Match of a change, against what is there. */
export function checkEtag(request: ArmRequest, existing: Resource | undefined): void {
  const failed = () =>
    new AzureError(412, "PreconditionFailed", "The condition specified in the request headers is not met.");
  const ifMatch = headerOf(request.call, "if-match");
  if (ifMatch !== undefined && (existing === undefined || (ifMatch !== "*" && ifMatch !== etagOf(existing))))
    throw failed();
  const ifNoneMatch = headerOf(request.call, "if-none-match");
  if (ifNoneMatch === "*" && existing !== undefined) throw failed();
}

/** An operation that was started, and whether it will fail: by its own outcome, or by a fault. */
export interface StartedOperation extends PlannedOperation {
  readonly failed: boolean;
  readonly faulted: boolean;
  readonly failure: OperationFailure | undefined;
}

/** Starts a long-running operation and gives what its acceptance needs. */
export function begin(
  world: World,
  request: ArmRequest,
  location: string,
  kind: string,
  outcome: { readonly failure?: OperationFailure | undefined; readonly result?: unknown } = {},
): StartedOperation {
  const fault = world.operationFault(request.call);
  const failure = fault ?? outcome.failure;
  const planned = world.operations.plan({
    origin: request.call.origin,
    subscription: request.subscription,
    location,
    apiVersion: request.apiVersion,
    provider: request.target.provider ?? "Microsoft.Resources",
    kind,
    ...(request.call.method === "PATCH" ? { resource: request.id } : {}),
    ...outcome,
    failure,
  });
  return { ...planned, failed: failure !== undefined, faulted: fault !== undefined, failure };
}

/** Writes entries and answers 202 with the operation's headers; an operation that a fault lets fail changes nothing. */
export async function accepted(world: World, entries: readonly Entry[], operation: StartedOperation): Promise<Answer> {
  await world.state.commit([...(operation.faulted ? [] : entries), ...operation.entries]);
  return { status: 202, headers: operation.headers };
}

export function conflict(message: string): AzureError {
  return new AzureError(409, "OperationNotAllowed", message);
}

export function invalid(parameter: string, message: string): AzureError {
  return new AzureError(400, "InvalidParameter", message, { target: parameter });
}

export function computeId(request: ArmRequest, ...typesAndNames: string[]): string {
  return resourceId(request.subscription, request.group, "Microsoft.Compute", ...typesAndNames);
}
