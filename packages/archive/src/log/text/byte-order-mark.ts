// The byte order mark, U+FEFF in UTF-8. The runner writes a log in blocks of 2 MiB, each through a new StreamWriter, which begins
// with a mark (actions/runner, src/Runner.Common/Logging.cs: BlockSize, NewBlock). Their joined bytes are the log: a mark can stand
// at the start of any line, and alone at the end, where the last block got no line.

const markBytes = 3;
/** So many are skipped at the start of a line. The runner writes one; the limit keeps what a line's head needs short. */
const maxMarks = 8;
export const maxByteOrderMarksBytes = maxMarks * markBytes;

/**
 * Where a line's own bytes begin: the offset after the marks at its start, `at` where there are none. Beyond `maxMarks` they are text.
 * Runs for every line: makes no string.
 * @param at the offset of the line's first byte. @param stop the offset after the last byte that is known of it.
 */
export function skipByteOrderMarks(bytes: Buffer, at: number, stop: number): number {
  if (bytes[at] !== 0xef) return at;
  const limit = Math.min(stop, at + maxByteOrderMarksBytes);
  let start = at;
  while (start + markBytes <= limit && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf)
    start += markBytes;
  return start;
}
