// The durable client's HTTP API, as the real extension serves it: management links and `rpcBaseUrl` both lead here.
// Only translation happens in this file: a request becomes a call of HubClient, a failure becomes a status.
// Every answer waits until all it shows is durable.

import { type FailureKind, HoldfastFailure } from "../../src/base/failure.ts";
import {
  decodedParts,
  decodeToken,
  encodeToken,
  filterOf,
  flag,
  invalid,
  jsonBody,
  pageSize,
  statusOptions,
  waitOf,
} from "./api-parameters.ts";
import { isTerminal } from "./engine/instance.ts";
import { type ApiRequest, type ApiResponse, DURABLE_API_PATH, type DurableApi } from "./hub-api.ts";
import { type HubClient, InstanceGone, unknownInstance } from "./hub-client.ts";
import type { HubSettings } from "./hub-settings.ts";
import { parsedOrRaw, type StatusOptions, statusView } from "./status-view.ts";

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
      const response = await this.#answer(request);
      await this.#client.settled();
      return response;
    } catch (error) {
      return toldFailure(error);
    }
  }

  // A refusal rests on what it has seen, too: "it has ended" must not be taken back by a crash.
  #answer(request: ApiRequest): Promise<ApiResponse> {
    return this.#route(request).catch(toldFailure);
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

  // Links name the hub they are for. Whoever asks for another one must not be served from this one.
  #refuseOtherHub(query: URLSearchParams): void {
    const { hubName } = this.#settings;
    const asked = query.get("taskHub") || hubName;
    if (asked.toLowerCase() === hubName.toLowerCase()) return;
    throw invalid(
      "OtherHub",
      `This host does not serve the task hub '${asked}', only '${hubName}' (host.json hubName).`,
    );
  }

  async #route(request: ApiRequest): Promise<ApiResponse> {
    this.#refuseOtherHub(request.query);
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
      const isOperation = second !== undefined && parts.length <= (second.toLowerCase() === "raiseevent" ? 4 : 3);
      if (first !== undefined && isOperation && method === "POST") return this.#operate(request, first, second, third);
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
      input: jsonBody(request, "allowEmpty"),
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
    if (instance === undefined) throw unknownInstance(id);
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
    const input = jsonBody(request, "refuseEmpty");
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
    if (instance === undefined) throw unknownInstance(id);
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
    await this.#client.signalEntity(id, request.query.get("op") ?? "", jsonBody(request, "allowEmpty"));
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

/** Anything else is a fault of the host. */
function toldFailure(error: unknown): ApiResponse {
  if (error instanceof HoldfastFailure) return failureResponse(error);
  throw error;
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
