// Finds the ends of lines, which are short: a call of `Buffer.indexOf` costs more than the search.

const newline = 0x0a;
/** A line that goes on after so many bytes is left to `indexOf`, which is faster from there on. */
const shortBytes = 512;

/** The offset of the next newline at or after `from`; -1 where there is none. @param view of `bytes`. */
export function newlineFrom(bytes: Buffer, view: DataView, from: number): number {
  const end = Math.min(bytes.length - 3, from + shortBytes);
  let at = from;
  for (; at < end; at += 4) {
    // A byte of the result has its highest bit set where the byte is a newline, and perhaps above one.
    // https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord
    const word = view.getInt32(at, true) ^ 0x0a0a0a0a;
    const found = (word - 0x01010101) & ~word & 0x80808080;
    if (found !== 0) return at + ((31 - Math.clz32(found & -found)) >> 3);
  }
  return bytes.indexOf(newline, at);
}
