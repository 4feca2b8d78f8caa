// Time and randomness as the vault gets them. Both are only for names, nonces and what people read: no decision about
// life and death takes its time from here (those use the store's clock, see object-store.ts).

export interface Clock {
  now(): Date;
}

export interface Random {
  /** Bytes fit for keys and nonces. */
  bytes(count: number): Uint8Array;
}

export interface Timer {
  /** Calls again and again, about `periodMs` apart, until the answer is called. */
  every(periodMs: number, call: () => void): () => void;
}
