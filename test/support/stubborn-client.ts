// A client of a host that is killed again and again. It sends again only what was not acknowledged and is provably not
// there, so that what it finds in the end must be exact: nothing lost, nothing twice.

import type { HistoryView, Status } from "./contract-app.ts";

const DURABLE_API = "/runtime/webhooks/durabletask/";
const PATIENCE_MS = 20_000;
const JSON_HEADERS = { "content-type": "application/json" };

interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** Of a listing: where it goes on. */
  readonly next: string;
}

export class StubbornClient {
  #url: string | undefined;
  #up = Promise.withResolvers<void>();
  #nonce = 0;
  /** Requests that were cut off: each time the client had to find out what had become of them. */
  cutOffs = 0;

  hostIsAt(url: string): void {
    this.#url = url;
    this.#up.resolve();
  }

  hostIsGone(): void {
    if (this.#url === undefined) return;
    this.#url = undefined;
    this.#up = Promise.withResolvers<void>();
  }

  async start(name: string, id: string, input: unknown): Promise<void> {
    while (!(await this.startOnce(name, id, input))) {
      if ((await this.status(id)) !== undefined) return;
    }
  }

  /** False: it was not acknowledged, and may be there or not. */
  async startOnce(name: string, id: string, input: unknown): Promise<boolean> {
    const init = { method: "POST", headers: JSON_HEADERS, body: JSON.stringify(input) };
    const answer = await this.#request(`orchestrators/${name}/${id}`, init);
    if (answer !== undefined && answer.status !== 202) throw new Error(`starting '${id}': ${JSON.stringify(answer)}`);
    return answer !== undefined;
  }

  /** Words are raised one after the other; their order is part of what must be exact. */
  async raiseWord(id: string, word: unknown): Promise<void> {
    for (;;) {
      const answer = await this.#raise(id, "word", word);
      if (answer?.status === 202) return;
      if (answer !== undefined) throw new Error(`raising '${word}' for '${id}': ${JSON.stringify(answer)}`);
      if (await this.#hasHeard(id, word)) return;
    }
  }

  /** Undefined: there is no such instance. */
  async status(id: string, query = ""): Promise<Status | undefined> {
    const { status, body } = await this.#read(`instances/${id}${query}`);
    if (status === 200 || status === 202) return body as Status;
    if (status === 404) return undefined;
    throw new Error(`the status of '${id}': ${status} ${JSON.stringify(body)}`);
  }

  async history(id: string): Promise<readonly HistoryView[]> {
    return (await this.status(id, "?showHistory=true&showHistoryOutput=true"))?.historyEvents ?? [];
  }

  async ended(id: string): Promise<Status> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const status = await this.status(id);
      if (status === undefined) throw new Error(`'${id}' was acknowledged and is gone`);
      if (!["Pending", "Running"].includes(status.runtimeStatus)) return status;
      if (performance.now() > deadline) throw new Error(`'${id}' does not end: ${JSON.stringify(status)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async listed(prefix: string): Promise<Status[]> {
    const all: Status[] = [];
    let token = "";
    do {
      const headers = { "x-ms-continuation-token": token };
      const page = await this.#read(`instances/?instanceIdPrefix=${prefix}&top=1000`, { headers });
      all.push(...(page.body as Status[]));
      token = page.next;
    } while (token !== "");
    return all;
  }

  // Whatever a host accepted before a later event it also serves before it: once that one is in the history, the
  // earlier one is there, too, or will never be.
  async #hasHeard(id: string, word: unknown): Promise<boolean> {
    this.#nonce += 1;
    const probe = `probe-${this.#nonce}`;
    const answer = await this.#raise(id, probe, null);
    if (answer === undefined) return this.#hasHeard(id, word);
    const isServed = (events: readonly HistoryView[]): boolean =>
      answer.status === 410 || names(events).includes(probe);
    for (;;) {
      const events = await this.history(id);
      if (isServed(events)) return events.some(({ Name, Input }) => Name === "word" && Input === JSON.stringify(word));
      // What had ended meanwhile has heard all its words.
      if ((await this.status(id))?.runtimeStatus === "Completed") return true;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #raise(id: string, name: string, value: unknown): Promise<Answer | undefined> {
    const body = JSON.stringify(value);
    return this.#request(`instances/${id}/raiseEvent/${name}`, { method: "POST", headers: JSON_HEADERS, body });
  }

  /** Reading may be repeated without a thought. */
  async #read(path: string, init: RequestInit = {}): Promise<Answer> {
    for (;;) {
      const answer = await this.#request(path, init);
      if (answer !== undefined) return answer;
    }
  }

  /** Undefined: the connection broke, and nobody knows whether the host had taken the request. */
  async #request(path: string, init: RequestInit): Promise<Answer | undefined> {
    await this.#up.promise;
    try {
      const response = await fetch(`${this.#url}${DURABLE_API}${path}`, init);
      const text = await response.text();
      const next = response.headers.get("x-ms-continuation-token") ?? "";
      return { status: response.status, body: text === "" ? undefined : JSON.parse(text), next };
    } catch {
      this.cutOffs += 1;
      // The kill loop may not have noticed yet.
      await new Promise((resolve) => setTimeout(resolve, 5));
      return undefined;
    }
  }
}

function names(events: readonly HistoryView[]): unknown[] {
  return events.map(({ Name }) => Name);
}
