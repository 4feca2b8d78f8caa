// The public keys with which an issuer's tokens are checked, as it publishes them. No caching here: who asks decides how
// often. Failures: "unavailable" (no answer, or not a key set).

export interface KeySets {
  /** The document at the address: a JSON Web Key Set. */
  read(url: string): Promise<KeySet>;
}

export interface KeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}
