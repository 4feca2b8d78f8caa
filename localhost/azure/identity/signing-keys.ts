// The RSA keys that sign tokens. They live in the data folder's journal, so tokens outlive a restart. Rotation makes a new
// key the signer and goes on publishing the older ones, as Entra does, so that tokens already issued stay valid.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { exportJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import type { AzureState } from "../state/azure-state.ts";

const KEY = "secret/token-keys";
const PUBLISHED_KEYS = 3;

interface StoredKey {
  readonly id: string;
  readonly pem: string;
}

export class SigningKeys {
  readonly #state: AzureState;

  constructor(state: AzureState) {
    this.#state = state;
  }

  async prepare(): Promise<void> {
    if (this.#stored().length === 0) await this.rotate();
  }

  /** Makes a new signing key; the youngest few stay published. */
  async rotate(): Promise<string> {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key: StoredKey = {
      id: randomBytes(15).toString("base64url"),
      pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
    const value = [key, ...this.#stored()].slice(0, PUBLISHED_KEYS);
    await this.#state.commit([{ kind: "document", key: KEY, value }]);
    return key.id;
  }

  sign(claims: JWTPayload): Promise<string> {
    const key = this.#stored()[0] as StoredKey;
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: key.id, x5t: key.id })
      .sign(createPrivateKey(key.pem));
  }

  publicKey(id: string | undefined): KeyObject | undefined {
    const key = this.#stored().find((one) => one.id === id);
    return key === undefined ? undefined : createPublicKey(key.pem);
  }

  async published(): Promise<JWK[]> {
    return Promise.all(
      this.#stored().map(async ({ id, pem }) => ({
        ...(await exportJWK(createPublicKey(pem))),
        kid: id,
        x5t: id,
        use: "sig",
        alg: "RS256",
      })),
    );
  }

  #stored(): readonly StoredKey[] {
    return (this.#state.document(KEY) as readonly StoredKey[] | undefined) ?? [];
  }
}
