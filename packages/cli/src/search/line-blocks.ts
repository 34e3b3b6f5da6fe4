// Splits a log's frames into blocks of complete lines, wherever frames end. A line that is too long to hold in memory comes in
// overlapping pieces.

export type LineBlock = {
  readonly bytes: Buffer;
  /** It starts inside a line that an earlier block began. Its first bytes may repeat that block's last ones. */
  readonly isContinued: boolean;
  /** It is one piece of a line that continues in the next block. */
  readonly isCut: boolean;
};

export type LineLimits = {
  /** The size of the pieces of a longer line. */
  readonly pieceBytes: number;
  /** The overlap of consecutive pieces. */
  readonly overlapBytes: number;
};

export const lineLimits: LineLimits = { pieceBytes: 4 * 1024 * 1024, overlapBytes: 64 * 1024 };

/** Holds at most a frame and a piece in memory. */
export async function* cutBlocks(
  frames: AsyncIterable<Buffer>,
  { pieceBytes, overlapBytes }: LineLimits = lineLimits,
): AsyncIterable<LineBlock> {
  /** The unfinished line. */
  let open: Buffer[] = [];
  let openBytes = 0;
  let isContinued = false;
  const take = (end: Buffer): Buffer => {
    const bytes = open.length === 0 ? end : Buffer.concat([...open, end]);
    [open, openBytes] = [[], 0];
    return bytes;
  };
  for await (const frame of frames) {
    const lineEnd = frame.lastIndexOf(0x0a) + 1;
    if (lineEnd > 0) {
      yield { bytes: take(frame.subarray(0, lineEnd)), isContinued, isCut: false };
      isContinued = false;
    }
    if (lineEnd < frame.length) open.push(frame.subarray(lineEnd));
    openBytes += frame.length - lineEnd;
    while (openBytes > pieceBytes) {
      const bytes = take(Buffer.alloc(0));
      yield { bytes: bytes.subarray(0, pieceBytes), isContinued, isCut: true };
      isContinued = true;
      open = [bytes.subarray(pieceBytes - overlapBytes)];
      openBytes = bytes.length - pieceBytes + overlapBytes;
    }
  }
  if (openBytes > 0) yield { bytes: take(Buffer.alloc(0)), isContinued, isCut: false };
}
