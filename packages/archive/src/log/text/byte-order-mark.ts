// Skips byte order marks (U+FEFF in UTF-8). The runner writes a log in blocks of 2 MiB, each through a new StreamWriter, which begins
// with a mark (actions/runner, src/Runner.Common/Logging.cs: BlockSize, NewBlock). The log is the concatenation of the blocks, so a
// mark can be at the start of any line, and alone at the end if the last block has no line.

const markBytes = 3;
/** Maximum number of marks that are skipped at the start of a line. The runner writes one; the limit bounds the length of a line's head. */
const maxMarks = 8;
export const maxByteOrderMarksBytes = maxMarks * markBytes;

/**
 * The offset after the marks at the start of a line; `at` if there are none. Marks beyond `maxMarks` count as text. Allocates nothing,
 * since it runs for every line.
 * @param at offset of the line's first byte. @param stop offset after the last known byte of the line.
 */
export function skipByteOrderMarks(bytes: Buffer, at: number, stop: number): number {
  if (bytes[at] !== 0xef) return at;
  const limit = Math.min(stop, at + maxByteOrderMarksBytes);
  let start = at;
  while (start + markBytes <= limit && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf)
    start += markBytes;
  return start;
}
