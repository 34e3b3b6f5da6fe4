// Merkle trees of RFC 6962, section 2.1: a root hash of a list, and inclusion paths that prove single items.

import { createHash } from "node:crypto";

/** Hash of a leaf: SHA-256 of 0x00 and its bytes. */
export function leafHash(leaf: Buffer): Buffer {
  return createHash("sha256").update(Buffer.of(0)).update(leaf).digest();
}

/** The root of `leaves` (hashes from `leafHash`); of an empty list, the SHA-256 of the empty string. */
export function merkleRoot(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return createHash("sha256").digest();
  if (leaves.length === 1) return first;
  const split = splitOf(leaves.length);
  return nodeHash(merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}

/** The siblings on the path from the leaf at `index` (from 0) to the root, nearest first. @throws RangeError when there is no such leaf. */
export function merklePath(leaves: readonly Buffer[], index: number): Buffer[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) throw new RangeError(`There is no leaf ${index}.`);
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...merklePath(left, index), merkleRoot(right)]
    : [...merklePath(right, index - split), merkleRoot(left)];
}

/** The root computed from the leaf hash at `index` of `size` leaves and its path; undefined if the path has the wrong length. */
export function rootOfPath(
  leaf: Buffer,
  { index, size }: { readonly index: number; readonly size: number },
  path: readonly Buffer[],
): Buffer | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  if (size === 1) return path.length === 0 ? leaf : undefined;
  const sibling = path.at(-1);
  if (sibling === undefined) return undefined;
  const split = splitOf(size);
  const isLeft = index < split;
  const below = rootOfPath(
    leaf,
    isLeft ? { index, size: split } : { index: index - split, size: size - split },
    path.slice(0, -1),
  );
  if (below === undefined) return undefined;
  return isLeft ? nodeHash(below, sibling) : nodeHash(sibling, below);
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return createHash("sha256").update(Buffer.of(1)).update(left).update(right).digest();
}

/** The largest power of two below `size`, which is 2 or more. */
function splitOf(size: number): number {
  return 2 ** Math.floor(Math.log2(size - 1));
}
