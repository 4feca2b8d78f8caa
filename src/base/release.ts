// Giving the memory of a large buffer back at once. The collector of JavaScript learns late how much memory lies outside
// its heap: without this, a stream of half-megabyte buffers holds hundreds of megabytes that nobody uses.

/** Smaller buffers may share their memory with others: Node cuts them from pools of 8 KiB, or of 64. */
const MIN_OWN_BYTES = 64 * 1024 + 1;

/** For a buffer that the caller made and nobody else can reach. It is empty afterwards. */
export function releaseBuffer(bytes: Uint8Array | Uint32Array): void {
  const memory = bytes.buffer;
  if (memory instanceof ArrayBuffer && memory.byteLength >= MIN_OWN_BYTES && !memory.detached) memory.transfer(0);
}
