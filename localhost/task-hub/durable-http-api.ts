// The durable client's HTTP API, as the real extension serves it: management links and `rpcBaseUrl` both lead here.
// Only translation happens in this file: a request becomes a call of HubClient, a failure becomes a status.
// Every answer waits until all it shows is durable.

import { type FailureKind, HoldfastFailure } from "../../src/base/failure.ts";
import { isTerminal, type RuntimeStatus } from "./engine/instance.ts";
import { type ApiRequest, type ApiResponse, DURABLE_API_PATH, type DurableApi } from "./hub-api.ts";
import { type HubClient, InstanceGone } from "./hub-client.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { InstanceFilter } from "./instance-index.ts";
import { parsedOrRaw, type StatusOptions, statusView } from "./status-view.ts";

const DEFAULT_PAGE = 100;
const LARGEST_PAGE = 1000;
const DEFAULT_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 230_000;

const STATUS_OF_KIND: Readonly<Record<FailureKind, number>> = {
  invalid: 400,
  denied: 403,
  "not-found": 404,
  conflict: 409,
  throttled: 429,
  unavailable: 503,
  corrupt: 500,
  cancelled: 499,
};

const RUNTIME_STATUSES: readonly RuntimeStatus[] = [
  "Pending",
  "Running",
  "Suspended",
  "Completed",
  "Failed",
  "Terminated",
];

export class DurableHttpApi implements DurableApi {
  readonly #client: HubClient;
  readonly #settings: HubSettings;
  readonly #origin: string;

  readonly #key: string | undefined;

  constructor(parts: {
    readonly client: HubClient;
    readonly settings: HubSettings;
    readonly origin: string;
    /** The system key that opens this API when keys are enforced. */
    readonly apiKey?: string;
  }) {
    this.#client = parts.client;
    this.#key = parts.apiKey;
    this.#settings = parts.settings;
    this.#origin = parts.origin;
  }

  async handle(request: ApiRequest): Promise<ApiResponse> {
    try {
      const response = await this.#route(request);
      await this.#client.settled();
      return response;
    } catch (error) {
      if (error instanceof HoldfastFailure) return failureResponse(error);
      throw error;
    }
  }

  clientBindingData(): string {
    const base = `${this.#origin}${DURABLE_API_PATH}`;
    return JSON.stringify({
      taskHubName: this.#settings.hubName,
      creationUrls: {
        createNewInstancePostUri: `${base}orchestrators/{functionName}[/{instanceId}]?${this.#code()}`,
        createAndWaitOnNewInstancePostUri: `${base}orchestrators/{functionName}[/{instanceId}]?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&${this.#code()}`,
      },
      managementUrls: { ...this.#links(this.#origin, "INSTANCEID"), id: "INSTANCEID" },
      baseUrl: base.slice(0, -1),
      requiredQueryStringParameters: this.#code(),
      // The library adds paths to this address and no query, so the key stands in the path.
      rpcBaseUrl: this.#key === undefined ? base : `${base}code/${encodeURIComponent(this.#key)}/`,
    });
  }

  #code(): string {
    return `code=${encodeURIComponent(this.#key ?? "local")}`;
  }

  #query(): string {
    return `taskHub=${encodeURIComponent(this.#settings.hubName)}&connection=Storage&${this.#code()}`;
  }

  #links(origin: string, id: string): Record<string, string> {
    const instance = `${origin}${DURABLE_API_PATH}instances/${id}`;
    const query = this.#query();
    return {
      id,
      statusQueryGetUri: `${instance}?${query}`,
      sendEventPostUri: `${instance}/raiseEvent/{eventName}?${query}`,
      terminatePostUri: `${instance}/terminate?reason={text}&${query}`,
      rewindPostUri: `${instance}/rewind?reason={text}&${query}`,
      purgeHistoryDeleteUri: `${instance}?${query}`,
      restartPostUri: `${instance}/restart?${query}`,
      suspendPostUri: `${instance}/suspend?reason={text}&${query}`,
      resumePostUri: `${instance}/resume?reason={text}&${query}`,
    };
  }

  async #route(request: ApiRequest): Promise<ApiResponse> {
    const parts = decodedParts(request.path);
    const [area, first, second, third] = parts;
    const { method } = request;
    if (area === "orchestrators" && first !== undefined && parts.length <= 3 && method === "POST") {
      return this.#start(request, first, second);
    }
    if (area === "instances") {
      if (first === undefined && method === "GET") return this.#list(request);
      if (first === undefined && method === "DELETE") return this.#purgeBy(request);
      if (first !== undefined && parts.length === 2 && method === "GET") return this.#status(request, first);
      if (first !== undefined && parts.length === 2 && method === "DELETE") return this.#purge(first);
      if (first !== undefined && second !== undefined && method === "POST") {
        return this.#operate(request, first, second, third);
      }
    }
    if (area === "entities") {
      if (first === undefined && method === "GET") return this.#listEntities();
      if (first !== undefined && second !== undefined && parts.length === 3) {
        const id = `@${first.toLowerCase()}@${second}`;
        if (method === "GET") return this.#readEntity(id);
        if (method === "POST") return this.#signalEntity(request, id);
      }
    }
    return json(404, { Message: `There is no ${method} '${request.path}' in the durable task API.` });
  }

  async #start(request: ApiRequest, name: string, id: string | undefined): Promise<ApiResponse> {
    const version = request.query.get("version") ?? undefined;
    const started = await this.#client.start({
      name,
      input: jsonText(request, "allowEmpty"),
      ...(id !== undefined && { id }),
      ...(version !== undefined && { version }),
    });
    const wait = waitOf(request.query);
    if (wait !== undefined && (await this.#client.waitForEnd(started, wait))) {
      const instance = await this.#client.find(started);
      if (instance?.status === "Completed") return json(200, parsedOrRaw(instance.output));
      if (instance !== undefined) return json(200, statusView(instance, ALL_BUT_HISTORY));
    }
    return this.#accepted(request, started);
  }

  #accepted(request: ApiRequest, id: string): ApiResponse {
    const links = this.#links(request.origin, encodeURIComponent(id));
    const { statusQueryGetUri } = links;
    return json(202, { ...links, id }, { location: statusQueryGetUri ?? "", "retry-after": "10" });
  }

  async #status(request: ApiRequest, id: string): Promise<ApiResponse> {
    const instance = await this.#client.find(id);
    if (instance === undefined) return json(404, { Message: `No instance with ID '${id}' found.` });
    const view = statusView(instance, statusOptions(request.query));
    if (!isTerminal(instance.status)) {
      const { statusQueryGetUri = "" } = this.#links(request.origin, encodeURIComponent(id));
      return json(202, view, { location: statusQueryGetUri, "retry-after": "5" });
    }
    const asError = flag(request.query, "returnInternalServerErrorOnFailure", false);
    return json(instance.status === "Failed" && asError ? 500 : 200, view);
  }

  async #list(request: ApiRequest): Promise<ApiResponse> {
    const { query } = request;
    const top = pageSize(query.get("top"));
    const token = request.headers["x-ms-continuation-token"];
    const after = token === undefined || token === "" ? undefined : decodeToken(token);
    const { instances, next } = await this.#client.list(filterOf(query), top, after);
    const options = statusOptions(query);
    const views = instances.map((instance) => statusView(instance, options));
    return json(200, views, next === undefined ? {} : { "x-ms-continuation-token": encodeToken(next) });
  }

  async #purge(id: string): Promise<ApiResponse> {
    const instancesDeleted = await this.#client.purge(id);
    return json(instancesDeleted === 0 ? 404 : 200, { instancesDeleted });
  }

  async #purgeBy(request: ApiRequest): Promise<ApiResponse> {
    const filter = filterOf(request.query);
    if (filter.createdFromMs === undefined) {
      return json(400, {
        Message: "Please provide a value for 'createdTimeFrom'. It is the least a purge must be limited to.",
      });
    }
    const instancesDeleted = await this.#client.purgeBy(filter);
    return json(instancesDeleted === 0 ? 404 : 200, { instancesDeleted });
  }

  async #operate(request: ApiRequest, id: string, operation: string, name: string | undefined): Promise<ApiResponse> {
    const reason = request.query.get("reason") ?? "";
    switch (operation.toLowerCase()) {
      case "raiseevent":
        return this.#raiseEvent(request, id, name);
      case "terminate":
        await this.#client.send(id, { kind: "terminate", reason });
        return empty(202);
      case "suspend":
        await this.#client.send(id, { kind: "suspend", reason });
        return empty(202);
      case "resume":
        await this.#client.resume(id, reason);
        return empty(202);
      case "rewind":
        return this.#rewind(id, reason);
      case "restart":
        return this.#restart(request, id);
      default:
        return json(404, { Message: `There is no operation '${operation}' on instances.` });
    }
  }

  async #raiseEvent(request: ApiRequest, id: string, name: string | undefined): Promise<ApiResponse> {
    if (name === undefined || name === "") throw invalid("InvalidEventName", "The event name is missing.");
    if (/^\d+$/.test(name)) {
      throw invalid(
        "InvalidEventName",
        `The event name '${name}' is a whole number. It would be taken for the id of a task and complete that. Choose another name.`,
      );
    }
    const type = request.headers["content-type"] ?? "";
    if (!type.toLowerCase().startsWith("application/json")) {
      throw invalid("InvalidContentType", "Only application/json request content is supported.");
    }
    const input = jsonText(request, "refuseEmpty");
    await this.#client.send(id, { kind: "event", name, input });
    return empty(202);
  }

  async #rewind(id: string, reason: string): Promise<ApiResponse> {
    try {
      await this.#client.rewind(id, reason);
      return empty(202);
    } catch (error) {
      // The client library takes these bodies for texts.
      if (error instanceof HoldfastFailure && error.kind === "not-found") return json(404, error.message);
      if (error instanceof HoldfastFailure && error.code === "InstanceNotFailed") return json(412, error.message);
      if (error instanceof HoldfastFailure && error.code === "RewindNotSupported") return json(501, error.message);
      throw error;
    }
  }

  async #restart(request: ApiRequest, id: string): Promise<ApiResponse> {
    const instance = await this.#client.find(id);
    if (instance === undefined) return json(404, { Message: `No instance with ID '${id}' found.` });
    const started = await this.#client.start({
      name: instance.name,
      input: instance.input,
      ...(!flag(request.query, "restartWithNewInstanceId", true) && { id }),
      ...(instance.version !== undefined && { version: instance.version }),
    });
    return this.#accepted(request, started);
  }

  #listEntities(): ApiResponse {
    const entities = this.#client.entityIds().map((id) => {
      const separator = id.indexOf("@", 1);
      return { entityId: { name: id.slice(1, separator), key: id.slice(separator + 1) } };
    });
    return json(200, entities);
  }

  #readEntity(id: string): ApiResponse {
    const state = this.#client.entityState(id);
    if (state === undefined) return json(404, { Message: `The entity '${id}' does not exist.` });
    return { status: 200, headers: JSON_HEADERS, body: state };
  }

  async #signalEntity(request: ApiRequest, id: string): Promise<ApiResponse> {
    await this.#client.signalEntity(id, request.query.get("op") ?? "", jsonText(request, "allowEmpty"));
    return empty(202);
  }
}

const ALL_BUT_HISTORY: StatusOptions = { showInput: true, showHistory: false, showHistoryOutput: false };
const JSON_HEADERS = { "content-type": "application/json; charset=utf-8" };

function json(status: number, body: unknown, headers: Record<string, string> = {}): ApiResponse {
  return { status, headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify(body) ?? "null" };
}

function empty(status: number): ApiResponse {
  return { status, headers: {}, body: "" };
}

function failureResponse(failure: HoldfastFailure): ApiResponse {
  const status = failure instanceof InstanceGone ? 410 : STATUS_OF_KIND[failure.kind];
  return json(status, {
    Message: failure.message,
    // The name under which the real extension reports an id that is taken.
    ...(failure.code === "InstanceAlreadyExists" && { ExceptionMessage: failure.message }),
    ...(failure.hint !== undefined && { Hint: failure.hint }),
  });
}

function invalid(code: string, message: string): HoldfastFailure {
  return new HoldfastFailure("invalid", code, message);
}

function decodedParts(path: string): string[] {
  const parts = path.split("/");
  if (parts.at(-1) === "") parts.pop();
  try {
    return parts.map(decodeURIComponent);
  } catch {
    throw invalid("InvalidPath", `The path '${path}' is not properly percent-encoded.`);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function jsonText(request: ApiRequest, whenEmpty: "allowEmpty" | "refuseEmpty"): string | null {
  if (request.body.length === 0) {
    if (whenEmpty === "allowEmpty") return null;
    throw invalid("InvalidJson", "The request has no body. Send JSON: null is fine, an empty body is not.");
  }
  try {
    const text = utf8.decode(request.body);
    // Parsed and written again: the journal wants one line, and lone surrogates or duplicate keys end here.
    return JSON.stringify(JSON.parse(text));
  } catch {
    throw invalid("InvalidJson", "The request body is not valid JSON in UTF-8.");
  }
}

function flag(query: URLSearchParams, name: string, fallback: boolean): boolean {
  const value = query.get(name);
  return value === null ? fallback : value.toLowerCase() === "true";
}

function statusOptions(query: URLSearchParams): StatusOptions {
  return {
    showInput: flag(query, "showInput", true),
    showHistory: flag(query, "showHistory", false),
    showHistoryOutput: flag(query, "showHistoryOutput", false),
  };
}

function filterOf(query: URLSearchParams): InstanceFilter {
  const createdFromMs = timeOf(query, "createdTimeFrom");
  const createdToMs = timeOf(query, "createdTimeTo");
  const idPrefix = query.get("instanceIdPrefix");
  const statuses = query.get("runtimeStatus");
  return {
    ...(createdFromMs !== undefined && { createdFromMs }),
    ...(createdToMs !== undefined && { createdToMs }),
    ...(idPrefix && { idPrefix }),
    ...(statuses && { statuses: new Set(statuses.split(",").map(runtimeStatusOf)) }),
  };
}

function timeOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs))
    throw invalid("InvalidTime", `'${name}' is not a time: '${text}'. Use ISO 8601, as 2026-01-31T00:00:00Z.`);
  return atMs;
}

function runtimeStatusOf(text: string): RuntimeStatus {
  const wanted = text.trim().toLowerCase();
  // These exist in the API but no instance stays in them here.
  if (wanted === "continuedasnew" || wanted === "canceled") return wanted as RuntimeStatus;
  const found = RUNTIME_STATUSES.find((status) => status.toLowerCase() === wanted);
  if (found === undefined) {
    throw invalid("InvalidStatus", `'${text}' is not a runtime status. They are ${RUNTIME_STATUSES.join(", ")}.`);
  }
  return found;
}

function pageSize(top: string | null): number {
  if (top === null || top === "") return DEFAULT_PAGE;
  const size = Number(top);
  if (!Number.isInteger(size) || size < 1)
    throw invalid("InvalidTop", `'top' is a whole number from 1 on, not '${top}'.`);
  return Math.min(size, LARGEST_PAGE);
}

function waitOf(query: URLSearchParams): number | undefined {
  if (!query.has("timeout") && !query.has("pollingInterval")) return undefined;
  const seconds = Number(query.get("timeout") ?? DEFAULT_WAIT_MS / 1000);
  if (!Number.isFinite(seconds) || seconds < 0) throw invalid("InvalidTimeout", "'timeout' is a number of seconds.");
  return Math.min(seconds * 1000, LONGEST_WAIT_MS);
}

function encodeToken(place: string): string {
  return Buffer.from(place, "utf8").toString("base64url");
}

function decodeToken(token: string): string {
  const place = Buffer.from(token, "base64url").toString("utf8");
  if (!/^\d+:./s.test(place)) throw invalid("InvalidToken", "The continuation token is not one of this host.");
  return place;
}
