// Merkle trees by RFC 6962, section 2.1: one hash that stands for a list, and a short path that proves one of its items.

import { createHash } from "node:crypto";

/** Hash of a leaf's bytes: SHA-256 over 0x00 and them. */
export function leafHash(leaf: Buffer): Buffer {
  return createHash("sha256").update(Buffer.of(0)).update(leaf).digest();
}

/** Root over `leaves` (hashes by `leafHash`); of none, the SHA-256 of nothing. */
export function merkleRoot(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return createHash("sha256").digest();
  if (leaves.length === 1) return first;
  const split = splitOf(leaves.length);
  return nodeHash(merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}

/** What leads from the leaf at `index` (from 0) to the root: siblings, nearest first. @throws RangeError when there is no such leaf. */
export function merklePath(leaves: readonly Buffer[], index: number): Buffer[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) throw new RangeError(`There is no leaf ${index}.`);
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...merklePath(left, index), merkleRoot(right)]
    : [...merklePath(right, index - split), merkleRoot(left)];
}

/** The root that `path` leads to from the leaf hash at `index` of `size` leaves; undefined when the path does not fit that place. */
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
