// An index of sealed keys with about 75 bytes per key. An archive of ten million jobs has over twenty million keys, which would need tens
// of gigabytes as JavaScript objects.

import { hash } from "node:crypto";

import type { SealEntry } from "./seal.ts";

/** Bytes of the key's SHA-256 that identify the key: it is not feasible to construct another key with the same 128 bits. */
const nameBytes = 16;
const hashBytes = 32;
const rowsInBlock = 8_192;

type Block = {
  readonly names: Buffer;
  readonly hashes: Buffer;
  readonly sizes: Float64Array;
  readonly seals: Uint32Array;
  readonly marks: Uint8Array;
};

/** Flags of a key. */
export const mark = {
  /** The object exists in the store. */
  isPresent: 1,
  isTombstoned: 2,
  /** For a log: a record names it. */
  isNamed: 4,
  /** The object does not match its seal or its key. */
  isBroken: 8,
  /** More than one seal contains it. */
  isSealedAgain: 16,
  /** The database has a row for it. */
  hasRow: 32,
} as const;
type Mark = (typeof mark)[keyof typeof mark];

/** A hash table with linear probing. Keys are only added, never removed. */
export class SealedIndex {
  readonly #blocks: Block[] = [];
  /** Row number + 1 at the slot given by the key's first bytes, or the next free slot; 0 is free. */
  #places = new Int32Array(1024);
  #rows = 0;

  get size(): number {
    return this.#rows;
  }

  /** The row of `key`; undefined if it was not added. */
  find(key: string): number | undefined {
    const name = nameOf(key);
    const row = (this.#places[this.#placeOf(name)] ?? 0) - 1;
    return row < 0 ? undefined : row;
  }

  /** Sets hash and size of the key from seal `sequence`, replacing those of an earlier seal. @returns the key's row */
  put({ key, size, sha256 }: Pick<SealEntry, "key" | "size" | "sha256">, sequence: number): number {
    const row = this.#rowOf(key);
    const { block, at } = this.#at(row);
    block.hashes.write(sha256, at * hashBytes, "hex");
    block.sizes[at] = size;
    block.seals[at] = sequence;
    return row;
  }

  /** Adds an object that is in no seal. @returns the key's row */
  addUnsealed(key: string, sizeBytes: number): number {
    const row = this.#rowOf(key);
    const { block, at } = this.#at(row);
    block.sizes[at] = sizeBytes;
    return row;
  }

  /** The sequence number of the last seal that contains the object; 0 if it is in no seal. */
  sealOf(row: number): number {
    const { block, at } = this.#at(row);
    return block.seals[at] ?? 0;
  }

  sizeOf(row: number): number {
    const { block, at } = this.#at(row);
    return block.sizes[at] ?? 0;
  }

  /** Hash of the stored bytes, lower-case hex. */
  sha256Of(row: number): string {
    const { block, at } = this.#at(row);
    return block.hashes.toString("hex", at * hashBytes, (at + 1) * hashBytes);
  }

  has(row: number, which: Mark): boolean {
    const { block, at } = this.#at(row);
    return ((block.marks[at] ?? 0) & which) !== 0;
  }

  set(row: number, which: Mark, isSet = true): void {
    const { block, at } = this.#at(row);
    const marks = block.marks[at] ?? 0;
    block.marks[at] = isSet ? marks | which : marks & ~which;
  }

  #rowOf(key: string): number {
    const name = nameOf(key);
    const place = this.#placeOf(name);
    const there = this.#places[place] ?? 0;
    if (there > 0) return there - 1;
    const row = this.#rows;
    if (row % rowsInBlock === 0) this.#blocks.push(newBlock());
    const { block, at } = this.#at(row);
    name.copy(block.names, at * nameBytes);
    this.#places[place] = row + 1;
    this.#rows += 1;
    if (this.#rows * 4 > this.#places.length * 3) this.#rehash();
    return row;
  }

  /** The slot of the name, or the free slot where it would be inserted. */
  #placeOf(name: Buffer): number {
    const last = this.#places.length - 1;
    for (let place = name.readUInt32LE(0) & last; ; place = (place + 1) & last) {
      const row = (this.#places[place] ?? 0) - 1;
      if (row < 0) return place;
      const { block, at } = this.#at(row);
      if (name.compare(block.names, at * nameBytes, (at + 1) * nameBytes) === 0) return place;
    }
  }

  #rehash(): void {
    this.#places = new Int32Array(this.#places.length * 2);
    for (let row = 0; row < this.#rows; row += 1) {
      const { block, at } = this.#at(row);
      this.#places[this.#placeOf(block.names.subarray(at * nameBytes, (at + 1) * nameBytes))] = row + 1;
    }
  }

  #at(row: number): { block: Block; at: number } {
    const block = this.#blocks[Math.floor(row / rowsInBlock)];
    if (!block) throw new RangeError(`There is no row ${row}.`);
    return { block, at: row % rowsInBlock };
  }
}

function newBlock(): Block {
  return {
    names: Buffer.alloc(rowsInBlock * nameBytes),
    hashes: Buffer.alloc(rowsInBlock * hashBytes),
    sizes: new Float64Array(rowsInBlock),
    seals: new Uint32Array(rowsInBlock),
    marks: new Uint8Array(rowsInBlock),
  };
}

function nameOf(key: string): Buffer {
  return hash("sha256", key, "buffer").subarray(0, nameBytes);
}
