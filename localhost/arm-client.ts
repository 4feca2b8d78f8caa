// A client of Resource Manager as anybody could write one: tokens from the simulated Azure, plain requests, patience with 429
// and 5xx, and long-running operations followed to their end.

import { setTimeout as sleep } from "node:timers/promises";
import { HoldfastFailure, messageOf } from "../src/base/failure.ts";

export interface ArmPlace {
  readonly azureUrl: string;
  readonly tenantId: string;
}

export interface ArmAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the provider says.
  readonly body: any;
}

export interface Token {
  readonly text: string;
  readonly expiresAt: Date;
}

const ATTEMPTS = 6;
const FIRST_WAIT_MS = 250;
const POLL_MS = 250;
const OPERATION_MS = 10 * 60_000;
const SCOPE = "https://management.azure.com/.default";

export const tokenUrl = ({ azureUrl, tenantId }: ArmPlace): string => `${azureUrl}/${tenantId}/oauth2/v2.0/token`;

/** In the simulated Azure any secret will do. */
export const tokenForm = (clientId: string): Readonly<Record<string, string>> => ({
  grant_type: "client_credentials",
  client_id: clientId,
  client_secret: "any",
  scope: SCOPE,
});

export async function requestToken(place: ArmPlace, clientId: string): Promise<Token> {
  const response = await patiently(() =>
    fetch(tokenUrl(place), { method: "POST", body: new URLSearchParams(tokenForm(clientId)) }),
  );
  const body = (await response.json()) as { access_token?: string; expires_in?: number };
  if (body.access_token === undefined) throw refusal(response.status, body, `No token for ${clientId}`);
  return { text: body.access_token, expiresAt: new Date(Date.now() + (body.expires_in ?? 0) * 1000) };
}

export class ArmClient {
  private readonly place: ArmPlace;
  private readonly clientId: string;
  private token: Token | undefined;

  constructor(place: ArmPlace, clientId: string) {
    this.place = place;
    this.clientId = clientId;
  }

  /** A path below the address of Resource Manager, or a link as it was given. Fails on what is no success. */
  async request(method: string, path: string, apiVersion: string, body?: unknown): Promise<ArmAnswer> {
    const answer = await this.tryRequest(method, path, apiVersion, body);
    if (answer.status < 400) return answer;
    throw refusal(answer.status, answer.body, `${method} ${path.split("?")[0]}`);
  }

  /** Undefined when it is not there. */
  async find(path: string, apiVersion: string): Promise<ArmAnswer["body"] | undefined> {
    const answer = await this.tryRequest("GET", path, apiVersion);
    if (answer.status === 404) return undefined;
    if (answer.status < 400) return answer.body;
    throw refusal(answer.status, answer.body, `GET ${path}`);
  }

  async *list(path: string, apiVersion: string): AsyncGenerator<ArmAnswer["body"]> {
    for (let next: string | undefined = path; next; ) {
      const { body }: ArmAnswer = await this.request("GET", next, apiVersion);
      yield* body.value;
      next = body.nextLink;
    }
  }

  /** To the operation's end; answers its final body. */
  async complete(method: string, path: string, apiVersion: string, body?: unknown): Promise<ArmAnswer["body"]> {
    const accepted = await this.request(method, path, apiVersion, body);
    const status = accepted.headers.get("azure-asyncoperation");
    if (status === null) return accepted.body;
    const ended = await this.waitFor(status, apiVersion);
    return ended.properties ?? ended;
  }

  private async waitFor(link: string, apiVersion: string): Promise<ArmAnswer["body"]> {
    const deadline = performance.now() + OPERATION_MS;
    for (;;) {
      const { body } = await this.request("GET", link, apiVersion);
      if (body.status === "Succeeded") return body;
      if (body.status === "Failed" || body.status === "Canceled") throw refusal(409, body, "The operation failed");
      if (performance.now() > deadline) throw refusal(504, {}, `The operation did not end in time: ${link}`);
      await sleep(POLL_MS);
    }
  }

  private async tryRequest(method: string, path: string, apiVersion: string, body?: unknown): Promise<ArmAnswer> {
    const url = path.startsWith("http") ? new URL(path) : new URL(`${this.place.azureUrl}${path}`);
    if (!url.searchParams.has("api-version")) url.searchParams.set("api-version", apiVersion);
    const response = await patiently(async () =>
      fetch(url, {
        method,
        headers: { Authorization: `Bearer ${await this.currentToken()}`, "Content-Type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? {} : JSON.parse(text) };
  }

  private async currentToken(): Promise<string> {
    const isGood = this.token !== undefined && this.token.expiresAt.getTime() - Date.now() > 60_000;
    if (!isGood) this.token = await requestToken(this.place, this.clientId);
    return this.token?.text ?? "";
  }
}

/** Again on 429, 5xx and broken connections, as often and as slowly as the answer asks. */
export async function patiently(send: () => Promise<Response>): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    let waitMs = FIRST_WAIT_MS * 2 ** (attempt - 1);
    try {
      const response = await send();
      if ((response.status !== 429 && response.status < 500) || attempt === ATTEMPTS) return response;
      waitMs = Math.max(waitMs, Number(response.headers.get("retry-after") ?? 0) * 1000);
      await response.arrayBuffer();
    } catch (cause) {
      if (cause instanceof HoldfastFailure || attempt === ATTEMPTS) throw unreachable(cause);
    }
    await sleep(waitMs);
  }
}

function unreachable(cause: unknown): HoldfastFailure {
  if (cause instanceof HoldfastFailure) return cause;
  const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
  return new HoldfastFailure("unavailable", "NoAnswer", `No answer: ${messageOf(reason)}`, { cause });
}

function refusal(status: number, body: ArmAnswer["body"], what: string): HoldfastFailure {
  const { code = `Http${status}`, message = `answered ${status}` } = body?.error ?? {};
  const kind = status === 409 ? "conflict" : status === 404 ? "not-found" : "invalid";
  return new HoldfastFailure(kind, code, `${what}: ${message} (${code})`);
}
