// An RSA key in Azure Key Vault as the key that wraps data keys. It never leaves its vault: wrapping and unwrapping are
// requests. What was wrapped names the version of the key that did it, and only that version is asked to unwrap it.

import { RestError } from "@azure/core-rest-pipeline";
import { CryptographyClient, KeyClient, type KeyVaultKey, parseKeyVaultKeyIdentifier } from "@azure/keyvault-keys";
import { HoldfastFailure, messageOf } from "../base/failure.ts";
import type { KeyWrapper, WrappedKey } from "../ports/key-wrapper.ts";
import { isLoopbackHost, reach } from "./loopback-http.ts";

type TokenCredential = ConstructorParameters<typeof KeyClient>[1];

const ALGORITHM = "RSA-OAEP-256";
const REQUEST_MS = 30_000;
const RETRIES = 3;
const ROLE = "Key Vault Crypto Service Encryption User";
/** Where Key Vaults and managed HSMs of Azure's clouds live. A token for them is sent nowhere else unasked. */
const KEY_VAULT_HOST =
  /^[a-z0-9-]+\.(?:vault|managedhsm)\.(?:azure\.net|azure\.cn|usgovcloudapi\.net|microsoftazure\.de)$/i;

export interface KeyVaultKeyOptions {
  readonly credential: TokenCredential;
  /** Wraps even under a key that can be deleted for good: with it goes every vault it opens. */
  readonly evenIfPurgeable?: boolean;
  /** Stops what is under way. */
  readonly signal?: AbortSignal;
}

/** `https://<vault>.vault.azure.net/keys/<name>`; with `/<version>` behind it, that version wraps instead of the newest. */
export function openKeyVaultKey(keyUrl: string, options: KeyVaultKeyOptions): KeyWrapper {
  return new KeyInVault(parseKeyUrl(keyUrl), options);
}

/** Whether an id found in a vault's own records is that of a key in Key Vault, beyond doubt. */
export function isKeyVaultId(id: string): boolean {
  return /^https:\/\/[^/@?#]+\/keys\/[0-9a-zA-Z-]{1,127}$/.test(id) && KEY_VAULT_HOST.test(new URL(id).host);
}

interface KeyName {
  readonly vaultUrl: string;
  readonly name: string;
  readonly version: string | undefined;
}

class KeyInVault implements KeyWrapper {
  readonly id: string;
  private readonly key: KeyName;
  private readonly options: KeyVaultKeyOptions;
  private readonly clientOptions: ConstructorParameters<typeof KeyClient>[2];

  constructor(key: KeyName, options: KeyVaultKeyOptions) {
    this.key = key;
    this.options = options;
    this.id = `${key.vaultUrl}/keys/${key.name}`;
    const { isLoopback, httpClient } = reach(key.vaultUrl);
    this.clientOptions = {
      retryOptions: { maxRetries: RETRIES, retryDelayInMs: 500, maxRetryDelayInMs: 4_000 },
      // The simulated Azure has no host name that a challenge could be compared with.
      disableChallengeResourceVerification: isLoopback,
      ...(httpClient ? { httpClient } : {}),
    };
  }

  async wrap(plain: Uint8Array): Promise<WrappedKey> {
    const found = await this.asked("get", (options) =>
      this.keys().getKey(this.key.name, { ...options, ...(this.key.version ? { version: this.key.version } : {}) }),
    );
    const version = found.properties.version ?? "";
    this.refuseUnfit(found);
    const client = this.cryptography(version, found);
    const { result } = await this.asked("wrapKey", (options) => client.wrapKey(ALGORITHM, plain, options));
    return { wrapperId: this.id, version, algorithm: ALGORITHM, bytes: result };
  }

  async unwrap({ version, algorithm, bytes }: WrappedKey): Promise<Uint8Array> {
    if (algorithm !== ALGORITHM || !/^[0-9a-f]{32}$/.test(version)) {
      throw new HoldfastFailure("denied", "HoldfastWrongKey", `${this.id} did not wrap this data key`);
    }
    const client = this.cryptography(version);
    return (await this.asked("unwrapKey", (options) => client.unwrapKey(ALGORITHM, bytes, options))).result;
  }

  private keys(): KeyClient {
    return new KeyClient(reach(this.key.vaultUrl).url, this.options.credential, this.clientOptions);
  }

  /**
   * Given a key instead of its URL, the client asks nothing beforehand. So unwrapping needs no right but that one, and works
   * with a key that has expired: the service lets it, the client would not.
   */
  private cryptography(version: string, found?: KeyVaultKey): CryptographyClient {
    const vaultUrl = reach(this.key.vaultUrl).url;
    const { name } = this.key;
    const id = `${vaultUrl}/keys/${name}/${version}`;
    const key: KeyVaultKey = { name, properties: { name, vaultUrl, version }, ...found, id };
    return new CryptographyClient(key, this.options.credential, this.clientOptions);
  }

  private refuseUnfit({ keyType, keyOperations, properties }: KeyVaultKey): void {
    if (keyType !== "RSA" && keyType !== "RSA-HSM") {
      throw new HoldfastFailure("invalid", "HoldfastKeyType", `${this.id} is a key of type ${keyType}, not RSA`, {
        hint: "Make an RSA key of 2048 bits or more and use that one.",
      });
    }
    const missing = ["wrapKey", "unwrapKey"].filter((needed) => !(keyOperations ?? [needed]).includes(needed));
    if (missing.length > 0) {
      throw new HoldfastFailure("denied", "HoldfastKeyOperations", `${this.id} does not permit ${missing.join(", ")}`, {
        hint: "Permit them among the key's operations, or use another key.",
      });
    }
    if (properties.enabled === false) throw disabled(this.id);
    if (isLasting(properties.recoveryLevel) || this.options.evenIfPurgeable) return;
    throw new HoldfastFailure(
      "denied",
      "HoldfastKeyPurgeable",
      `${this.id} has no purge protection: somebody could delete it for good, and every backup with it`,
      {
        hint: `Turn purge protection on for ${this.key.vaultUrl}, or use --force knowingly.`,
      },
    );
  }

  private async asked<T>(operation: string, ask: (options: RequestSettings) => Promise<T>): Promise<T> {
    const { signal } = this.options;
    try {
      return await ask({ requestOptions: { timeout: REQUEST_MS }, ...(signal ? { abortSignal: signal } : {}) });
    } catch (cause) {
      if (signal?.aborted) throw new HoldfastFailure("cancelled", "HoldfastStopped", "Stopped, as asked", { cause });
      throw translate(cause, this.id, operation);
    }
  }
}

interface RequestSettings {
  readonly requestOptions: { readonly timeout: number };
  readonly abortSignal?: AbortSignal;
}

/** Without "Purgeable" in it, nobody deletes the key before its days of grace are over; absent, nothing is known. */
function isLasting(recoveryLevel: string | undefined): boolean {
  return recoveryLevel !== undefined && recoveryLevel !== "" && !/purgeable/i.test(recoveryLevel);
}

function parseKeyUrl(text: string): KeyName {
  const isHttps = /^https:\/\//i.test(text);
  const found = /^https?:\/\/[^/@?#\s]+\/keys\/([0-9a-zA-Z-]{1,127})(?:\/([0-9a-fA-F]{32}))?\/?$/i.exec(text);
  if (!found || !URL.canParse(text)) {
    throw new HoldfastFailure("invalid", "HoldfastKeyUrl", `"${text}" is no URL of a key in Key Vault`, {
      hint: "It reads https://<vault>.vault.azure.net/keys/<name>.",
    });
  }
  if (!isHttps && !isLoopbackHost(new URL(text).hostname)) {
    throw new HoldfastFailure("invalid", "HoldfastKeyUrl", "A key's URL begins with https://, save on this machine");
  }
  const { vaultUrl, name } = parseKeyVaultKeyIdentifier(text.replace(/\/$/, ""));
  return { vaultUrl: vaultUrl.toLowerCase().replace(/\/$/, ""), name, version: found[2]?.toLowerCase() };
}

function translate(cause: unknown, id: string, operation: string): unknown {
  if (cause instanceof RestError) return translateAnswer(cause, id, operation);
  // By name: the library of identities is not needed to use one.
  if (cause instanceof Error && /Authentication|CredentialUnavailable/.test(cause.name)) {
    return new HoldfastFailure("denied", "HoldfastNoIdentity", `No identity for ${id}: ${firstLine(cause)}`, {
      hint: "Sign in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.",
      cause,
    });
  }
  return cause;
}

function translateAnswer(cause: RestError, id: string, operation: string): HoldfastFailure {
  const { statusCode = 0, code = "" } = cause;
  const said = { cause };
  const inner = innerCodeOf(cause);
  if (inner === "KeyDisabled" || (statusCode === 403 && /disabled key/.test(cause.message))) return disabled(id, cause);
  if (statusCode === 401 || statusCode === 403) {
    const isNetwork = inner === "ForbiddenByFirewall" || inner === "ForbiddenByConnection";
    const why = isNetwork ? "does not answer this network" : `does not permit ${operation} to this identity`;
    return new HoldfastFailure("denied", "HoldfastKeyDenied", `${id} ${why}`, {
      ...said,
      hint: isNetwork ? "Let this network into the vault's firewall." : `The role "${ROLE}" on the key is enough.`,
    });
  }
  if (statusCode === 404) {
    return new HoldfastFailure("denied", "HoldfastKeyNotFound", `${id} does not exist, or not in this version`, {
      ...said,
      hint: "If it was deleted, recover it: `az keyvault key recover`.",
    });
  }
  if (statusCode === 400 && operation === "unwrapKey") {
    return new HoldfastFailure("denied", "HoldfastWrongKey", `${id} is not the key that wrapped this data key`, said);
  }
  if (statusCode === 400) {
    return new HoldfastFailure("invalid", "HoldfastKeyUnfit", `${id}: ${firstLine(cause)}`, said);
  }
  if (statusCode === 429) return new HoldfastFailure("throttled", "HoldfastKeyVaultBusy", `${id} is busy`, said);
  const isUnknown = code === "ENOTFOUND" || code === "EAI_AGAIN";
  return new HoldfastFailure("unavailable", "HoldfastKeyVaultUnavailable", `${id}: ${firstLine(cause)}`, {
    ...said,
    hint: isUnknown ? "Is the vault's name right, and does this machine reach the network?" : "Try again later.",
  });
}

function disabled(id: string, cause?: unknown): HoldfastFailure {
  return new HoldfastFailure("denied", "HoldfastKeyDisabled", `${id} is disabled`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "Enable the version that the vault was wrapped with; until then nothing in it can be read.",
  });
}

/** The service says more in `innererror` than in its code. */
function innerCodeOf({ details }: RestError): string | undefined {
  const error = (details as { error?: { innererror?: { code?: unknown } } } | undefined)?.error;
  return typeof error?.innererror?.code === "string" ? error.innererror.code : undefined;
}

function firstLine(cause: unknown): string {
  return messageOf(cause).split("\n")[0] ?? "";
}
