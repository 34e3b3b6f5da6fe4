import { createHash } from "node:crypto";

import fc from "fast-check";
import { expect, test } from "vitest";

import { leafHash, merklePath, merkleRoot, rootOfPath } from "./merkle.ts";

const leavesOf = (size: number) => Array.from({ length: size }, (_, index) => leafHash(Buffer.from(`leaf ${index}`)));

test("roots are those of RFC 6962", () => {
  // The test vectors of Certificate Transparency: github.com/google/certificate-transparency, merkletree/merkle_tree_test.cc.
  const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
  const roots = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ];
  const leaves = inputs.map((hex) => leafHash(Buffer.from(hex, "hex")));
  expect(leaves.map((_, index) => merkleRoot(leaves.slice(0, index + 1)).toString("hex"))).toEqual(roots);
  expect(merkleRoot([])).toEqual(createHash("sha256").digest());
});

test("every leaf of every size up to 70 is proved by its path, only at its own index", () => {
  for (let size = 1; size <= 70; size += 1) {
    const leaves = leavesOf(size);
    const root = merkleRoot(leaves);
    for (const [index, leaf] of leaves.entries()) {
      const path = merklePath(leaves, index);
      expect(rootOfPath(leaf, { index, size }, path)).toEqual(root);
      expect(rootOfPath(leaf, { index: (index + 1) % size, size }, path)?.equals(root) ?? false).toBe(size === 1);
    }
  }
});

test("a path that is longer, shorter or changed by one bit proves nothing", () => {
  const place = fc
    .integer({ min: 2, max: 300 })
    .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.nat(), fc.nat(255)));
  fc.assert(
    fc.property(place, ([size, index, which, bit]) => {
      const leaves = leavesOf(size);
      const leaf = leaves[index] ?? Buffer.of();
      const path = merklePath(leaves, index);
      const root = merkleRoot(leaves);
      expect(rootOfPath(leaf, { index, size }, path.slice(1))).toBeUndefined();
      expect(rootOfPath(leaf, { index, size }, [root, ...path])).toBeUndefined();
      const changed = path.map((hash, at) => (at === which % path.length ? flipped(hash, bit) : hash));
      expect(rootOfPath(leaf, { index, size }, changed)).not.toEqual(root);
    }),
  );
});

test("an index outside the tree has no path", () => {
  expect(() => merklePath(leavesOf(3), 3)).toThrow(RangeError);
  expect(rootOfPath(leafHash(Buffer.of()), { index: 1, size: 1 }, [])).toBeUndefined();
  expect(rootOfPath(leafHash(Buffer.of()), { index: -1, size: 2 }, [])).toBeUndefined();
});

function flipped(hash: Buffer, bit: number): Buffer {
  const copy = Buffer.from(hash);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
