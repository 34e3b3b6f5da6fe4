// Cuts a log's frames into blocks of whole lines, so that a line is found wherever frames end. A line that is too long to be
// held comes in pieces that overlap.

export type LineBlock = {
  readonly bytes: Buffer;
  /** It begins inside a line whose beginning was in an earlier block. Its first bytes may be that block's last ones. */
  readonly isContinued: boolean;
  /** It is one piece of a line that goes on in the next block. */
  readonly isCut: boolean;
};

export type LineLimits = {
  /** A longer line comes in pieces of this size. */
  readonly pieceBytes: number;
  /** How much of a piece is in the next one again. */
  readonly overlapBytes: number;
};

export const lineLimits: LineLimits = { pieceBytes: 4 * 1024 * 1024, overlapBytes: 64 * 1024 };

/** Holds a frame and a piece at most. */
export async function* cutBlocks(
  frames: AsyncIterable<Buffer>,
  { pieceBytes, overlapBytes }: LineLimits = lineLimits,
): AsyncIterable<LineBlock> {
  /** The line that has not ended. */
  let open: Buffer[] = [];
  let openBytes = 0;
  let isContinued = false;
  const take = (end: Buffer): Buffer => {
    const bytes = open.length === 0 ? end : Buffer.concat([...open, end]);
    [open, openBytes] = [[], 0];
    return bytes;
  };
  for await (const frame of frames) {
    const border = frame.lastIndexOf(0x0a) + 1;
    if (border > 0) {
      yield { bytes: take(frame.subarray(0, border)), isContinued, isCut: false };
      isContinued = false;
    }
    if (border < frame.length) open.push(frame.subarray(border));
    openBytes += frame.length - border;
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
