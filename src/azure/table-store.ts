// Tables of a storage account as the place for rows. A row is one entity, its body JSON text that is cut over as many
// properties as it needs. Tables come into being when something is first written into them.

import {
  AzureNamedKeyCredential,
  odata,
  RestError,
  TableClient,
  type TableEntity,
  type TransactionAction,
} from "@azure/data-tables";
import type { TokenCredential } from "@azure/identity";
import { assert } from "../base/assert.ts";
import { HoldfastFailure, messageOf } from "../base/failure.ts";
import type { ListOptions, Row, RowChange, StoredRow, TableStore } from "../ports/table-store.ts";
import { parseAccount } from "./connection-string.ts";
import { spellKey, unspellKey } from "./table-keys.ts";
import { conditionalRemovals, removalOf } from "./table-removals.ts";

export type TableAccount =
  | { readonly connectionString: string }
  | { readonly tableEndpoint: string; readonly credential: TokenCredential };

/** Connects to nothing yet. */
export function openTableStore(account: TableAccount): TableStore {
  const open = opener(account);
  return new AzureTableStore((table) => {
    const client = open(table);
    // Before the request is measured and signed.
    client.pipeline.addPolicy(conditionalRemovals, { phase: "Serialize" });
    return client;
  });
}

function opener(account: TableAccount): (table: string) => TableClient {
  if (!("connectionString" in account)) {
    return (table) => new TableClient(account.tableEndpoint, table, account.credential);
  }
  const { name, key, endpointOf } = parseAccount(account.connectionString);
  const endpoint = endpointOf("table");
  const options = { allowInsecureConnection: isLoopback(endpoint) };
  return (table) => new TableClient(endpoint, table, new AzureNamedKeyCredential(name, key), options);
}

function isLoopback(endpoint: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(endpoint).hostname);
}

const MAX_BODY_BYTES = 256 * 1024;
/** Escaped and with its headers, this stays below the 4 MiB that a table takes in one request. */
const MAX_TRANSACTION_BYTES = 1024 * 1024;
const MAX_PAGE_SIZE = 1_000;
const MAX_CHANGES = 100;
/** A property holds 32 Ki UTF-16 units. */
const PARTS = /.{1,32000}/gs;

interface BodyEntity {
  readonly [part: string]: unknown;
}

class AzureTableStore implements TableStore {
  private readonly open: (table: string) => TableClient;
  private readonly clients = new Map<string, TableClient>();

  constructor(open: (table: string) => TableClient) {
    this.open = open;
  }

  async insert(table: string, row: Row): Promise<string> {
    const entity = entityOf(row.partition, row);
    return this.write(table, row, async (client) => etagOf(await client.createEntity(entity)));
  }

  async replace(table: string, row: Row, etag: string): Promise<string> {
    const entity = entityOf(row.partition, row);
    try {
      return etagOf(await this.client(table).updateEntity(entity, "Replace", { etag }));
    } catch (cause) {
      throw translate(cause, table, row);
    }
  }

  async remove(table: string, partition: string, key: string, etag?: string): Promise<void> {
    try {
      await this.client(table).deleteEntity(spellKey(partition), spellKey(key), etag === undefined ? {} : { etag });
    } catch (cause) {
      if (etag === undefined && isAbsent(cause)) return;
      throw translate(cause, table, { partition, key });
    }
  }

  async read(table: string, partition: string, key: string): Promise<StoredRow | undefined> {
    try {
      const entity = await this.client(table).getEntity<BodyEntity>(spellKey(partition), spellKey(key));
      return { partition, key, body: bodyOf(entity), etag: entity.etag };
    } catch (cause) {
      if (isAbsent(cause)) return undefined;
      throw translate(cause, table, { partition, key });
    }
  }

  async *list(table: string, partition: string, options: ListOptions = {}): AsyncIterable<readonly StoredRow[]> {
    const { pageSize = MAX_PAGE_SIZE } = options;
    const pages = this.client(table)
      .listEntities<BodyEntity>({ queryOptions: { filter: filterOf(partition, options) } })
      .byPage({ maxPageSize: Math.min(pageSize, MAX_PAGE_SIZE) });
    try {
      for await (const page of pages) {
        if (page.length === 0) continue;
        yield page.map((entity) => ({ partition, key: keyOf(entity), body: bodyOf(entity), etag: entity.etag }));
      }
    } catch (cause) {
      if (isAbsent(cause)) return;
      throw translate(cause, table, { partition, key: "*" });
    }
  }

  async transact(table: string, partition: string, changes: readonly RowChange[]): Promise<void> {
    if (changes.length === 0) return;
    const keys = new Set(changes.map(({ key }) => key));
    assert(keys.size === changes.length && keys.size <= MAX_CHANGES, "A transaction is at most 100 changes, one a key");
    const actions = changes.map((change) => actionOf(partition, change));
    const sizeBytes = changes.reduce((sum, change) => sum + sizeOf(change), 0);
    if (sizeBytes > MAX_TRANSACTION_BYTES) throw tooLarge(`${changes.length} rows`, sizeBytes);
    await this.write(table, { partition, key: "*" }, (client) => client.submitTransaction(actions));
  }

  /** Whoever is the first to write into a table makes it; of several, all but one find it made. */
  private async write<T>(table: string, place: RowPlace, send: (client: TableClient) => Promise<T>): Promise<T> {
    const client = this.client(table);
    try {
      return await send(client);
    } catch (cause) {
      if (!isTableAbsent(cause)) throw translate(cause, table, place);
    }
    try {
      await client.createTable();
      return await send(client);
    } catch (cause) {
      throw translate(cause, table, place);
    }
  }

  private client(table: string): TableClient {
    const known = this.clients.get(table);
    if (known) return known;
    const client = this.open(table);
    this.clients.set(table, client);
    return client;
  }
}

interface RowPlace {
  readonly partition: string;
  readonly key: string;
}

function actionOf(partition: string, change: RowChange): TransactionAction {
  switch (change.kind) {
    case "insert":
      return ["create", entityOf(partition, change)];
    case "replace":
      return ["update", entityOf(partition, change), "Replace", { etag: change.etag }];
    case "remove":
      return ["update", removalOf(spellKey(partition), spellKey(change.key)), "Replace", { etag: change.etag }];
  }
}

function filterOf(partition: string, { after, before, mark }: ListOptions): string {
  const conditions = [odata`PartitionKey eq ${spellKey(partition)}`];
  if (after !== undefined) conditions.push(odata`RowKey gt ${spellKey(after)}`);
  if (before !== undefined) conditions.push(odata`RowKey lt ${spellKey(before)}`);
  if (mark !== undefined) conditions.push(odata`mark eq ${mark}`);
  return conditions.join(" and ");
}

function entityOf(partition: string, row: Omit<Row, "partition">): TableEntity<BodyEntity> {
  const { key, mark } = row;
  const place = { partitionKey: spellKey(partition), rowKey: spellKey(key) };
  const shortened = unspellKey(place.rowKey) === undefined ? { key: asciiJson(key) } : {};
  const parts = partsOf(textOf(row)).map((part, index) => [`body${index}`, part]);
  return { ...place, ...shortened, ...(mark !== undefined && { mark }), ...Object.fromEntries(parts) };
}

function keyOf(entity: { readonly rowKey?: string; readonly key?: unknown }): string {
  return unspellKey(entity.rowKey ?? "") ?? (JSON.parse(String(entity.key)) as string);
}

function textOf({ key, body }: { readonly key: string; readonly body: unknown }): string {
  const text = asciiJson(body);
  if (text.length > MAX_BODY_BYTES) throw tooLarge(key, text.length);
  return text;
}

/** A character of several bytes is lost by Azurite where a request happens to be cut on its way. */
function asciiJson(value: unknown): string {
  const spell = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replaceAll(/[^\x20-\x7e]/g, spell);
}

function sizeOf(change: RowChange): number {
  return change.kind === "remove" ? 0 : asciiJson(change.body).length;
}

function tooLarge(what: string, sizeBytes: number): HoldfastFailure {
  return new HoldfastFailure("invalid", "HoldfastRowTooLarge", `${what}: ${sizeBytes} bytes are too many`);
}

function partsOf(text: string): string[] {
  return text.match(PARTS) ?? [];
}

function bodyOf(entity: BodyEntity): unknown {
  let text = "";
  for (let index = 0; typeof entity[`body${index}`] === "string"; index++) text += entity[`body${index}`];
  return JSON.parse(text);
}

function etagOf({ etag }: { readonly etag?: string | undefined }): string {
  assert(etag, "A table answers every write with an etag");
  return etag;
}

const isTableAbsent = (cause: unknown): boolean => cause instanceof RestError && codeOf(cause) === "TableNotFound";
const isAbsent = (cause: unknown): boolean => cause instanceof RestError && cause.statusCode === 404;

/** Answers to single requests carry the code in their body, those to transactions in the error itself. */
function codeOf(cause: RestError): string {
  const details = cause.details as { odataError?: { code?: string } } | undefined;
  return details?.odataError?.code ?? cause.code ?? "";
}

function translate(cause: unknown, table: string, { partition, key }: RowPlace): unknown {
  if (!(cause instanceof RestError)) return cause;
  const where = `${table}/${partition}/${key}`;
  const { statusCode } = cause;
  const code = codeOf(cause);
  if (code === "TableBeingDeleted") {
    return new HoldfastFailure("unavailable", "HoldfastTableBeingDeleted", `${where}: the table is being deleted`, {
      cause,
    });
  }
  if (statusCode === 404 || statusCode === 409 || statusCode === 412) {
    const conflict = code === "EntityAlreadyExists" ? "HoldfastRowExists" : "HoldfastRowChanged";
    return new HoldfastFailure("conflict", conflict, `${where}: ${code || statusCode}`, { cause });
  }
  if (statusCode === 401 || statusCode === 403) {
    return new HoldfastFailure("denied", "HoldfastTablesDenied", `${where}: the storage account refuses access`, {
      cause,
    });
  }
  if (statusCode === 429 || statusCode === 503) {
    return new HoldfastFailure("throttled", "HoldfastTablesBusy", `${where}: the storage account is busy`, { cause });
  }
  return new HoldfastFailure("unavailable", "HoldfastTablesUnavailable", `${where}: ${messageOf(cause)}`, { cause });
}
