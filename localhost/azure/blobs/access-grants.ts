// Shared access to the bytes of disks, snapshots and restore points: what beginGetAccess hands out and endGetAccess takes
// back. As in Azure the URL names a stored grant (`si`) and carries a signature; time limit and rights are the grant's, so
// revoking works at once. Grants survive a restart; signatures are made with a key of this data folder.
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import { AzureError } from "../http/azure-error.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { Entry } from "../state/entry.ts";

export type AccessLevel = "Read" | "Write";

export interface Grant {
  readonly id: string;
  /** Lower-case ARM id of the disk, snapshot or disk restore point. */
  readonly resource: string;
  readonly volume: number;
  readonly access: AccessLevel;
  /** Path of the blob, without leading slash. */
  readonly path: string;
  readonly startsAt: number;
  readonly expiresAt: number;
  /** Only private endpoints may use it; this socket is not one. */
  readonly isPrivate: boolean;
}

const KEY = "grant/";
const SECRET = "secret/sas";
const FORGOTTEN_AFTER_MS = 24 * 3600 * 1000;
const SAS_VERSION = "2018-03-28";

export class AccessGrants {
  readonly #state: AzureState;
  readonly #byResource = new Map<string, Map<string, Grant>>();

  constructor(state: AzureState) {
    this.#state = state;
    state.watch((key, value) => {
      if (key.startsWith(KEY)) this.#index(key.slice(KEY.length), value as Grant | undefined);
    });
  }

  /** The key that signs; made once for each data folder. */
  async prepare(): Promise<void> {
    if (this.#state.document(SECRET) !== undefined) return;
    await this.#state.commit([{ kind: "document", key: SECRET, value: randomBytes(32).toString("base64") }]);
  }

  /** A new grant, or a known one with a later end: asking again for the same access gives the same URL. */
  plan(
    resource: string,
    volume: number,
    access: AccessLevel,
    now: number,
    seconds: number,
    more: { readonly renews?: Grant; readonly isPrivate?: boolean } = {},
  ): { grant: Grant; entry: Entry } {
    const id = more.renews?.id ?? randomUUID();
    const grant: Grant = {
      id,
      resource: resource.toLowerCase(),
      volume,
      access,
      path: more.renews?.path ?? `md-${randomBytes(6).toString("hex")}/${randomBytes(6).toString("hex")}/abcd`,
      startsAt: more.renews?.startsAt ?? now,
      expiresAt: Math.max(more.renews?.expiresAt ?? 0, now + seconds * 1000),
      isPrivate: more.isPrivate === true,
    };
    return { grant, entry: { kind: "document", key: KEY + id, value: grant } };
  }

  url(origin: string, grant: Grant): string {
    return `${origin}/${grant.path}?sv=${SAS_VERSION}&sr=b&si=${grant.id}&sig=${encodeURIComponent(this.#signature(grant, SAS_VERSION, "b"))}`;
  }

  /** Grants of a resource that still count at `now`. */
  active(resource: string, now: number): Grant[] {
    return [...(this.#byResource.get(resource.toLowerCase())?.values() ?? [])].filter(
      ({ expiresAt }) => expiresAt > now,
    );
  }

  /** Entries that take back every grant of a resource. */
  planRevoke(resource: string): Entry[] {
    const grants = this.#byResource.get(resource.toLowerCase())?.values() ?? [];
    return [...grants].map(({ id }) => ({ kind: "document-removed", key: KEY + id }));
  }

  /** Entries that forget grants of a resource that have long run out. */
  planForget(resource: string, now: number): Entry[] {
    const grants = this.#byResource.get(resource.toLowerCase())?.values() ?? [];
    return [...grants].flatMap(({ id, expiresAt }) =>
      expiresAt < now - FORGOTTEN_AFTER_MS ? [{ kind: "document-removed", key: KEY + id }] : [],
    );
  }

  /** The grant behind a SAS, or Azure's refusal of it. `path` is without leading slash. */
  verify(path: string, query: ReadonlyMap<string, string>, now: number): Grant {
    const signature = query.get("sig");
    if (signature === undefined)
      throw new AzureError(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.");
    const grant = this.#state.document(KEY + (query.get("si") ?? "")) as Grant | undefined;
    if (grant === undefined) throw unauthenticated("Signed identifier was not found or has been revoked.");
    const expected = this.#signature({ ...grant, path }, query.get("sv") ?? "", query.get("sr") ?? "");
    if (path !== grant.path || !sameText(signature, expected))
      throw unauthenticated("Signature did not match. String to sign used was not the one that was signed.");
    if (now < grant.startsAt - 60_000 || now >= grant.expiresAt)
      throw unauthenticated(
        `Signature not valid in the specified time frame: Start [${new Date(grant.startsAt).toUTCString()}] - Expiry [${new Date(grant.expiresAt).toUTCString()}] - Current [${new Date(now).toUTCString()}]`,
      );
    if (grant.isPrivate)
      throw new AzureError(403, "AuthorizationFailure", "This request is not authorized to perform this operation.");
    return grant;
  }

  /** Refuses who uses a grant that was taken back after it had been verified. */
  refuseRevoked({ id }: Grant): void {
    if (this.#state.document(KEY + id) === undefined)
      throw unauthenticated("Signed identifier was not found or has been revoked.");
  }

  #signature(grant: Grant, version: string, resourceKind: string): string {
    const secret = Buffer.from(String(this.#state.document(SECRET)), "base64");
    return createHmac("sha256", secret)
      .update(`${grant.path}\n${grant.id}\n${version}\n${resourceKind}`)
      .digest("base64");
  }

  #index(id: string, grant: Grant | undefined): void {
    if (grant === undefined) {
      for (const grants of this.#byResource.values()) grants.delete(id);
      return;
    }
    const grants = this.#byResource.get(grant.resource) ?? new Map<string, Grant>();
    this.#byResource.set(grant.resource, grants.set(id, grant));
  }
}

function unauthenticated(detail: string): AzureError {
  return new AzureError(
    403,
    "AuthenticationFailed",
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.",
    { authenticationDetail: detail },
  );
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
