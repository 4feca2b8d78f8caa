// The key that wraps a vault's data keys. It never leaves its home: a key vault, or a local file whose owner keeps it.

export interface KeyWrapper {
  /** Names the wrapping key (not its version) for people and for choosing among several. */
  readonly id: string;

  /** Wraps under the newest version. The answer names the version, so that older ones can be retired knowingly. */
  wrap(plain: Uint8Array): Promise<WrappedKey>;

  /** Fails with kind "denied" when the key is disabled, gone, or not the one that wrapped. */
  unwrap(wrapped: WrappedKey): Promise<Uint8Array>;
}

export interface WrappedKey {
  readonly wrapperId: string;
  readonly version: string;
  readonly algorithm: string;
  readonly bytes: Uint8Array;
}
