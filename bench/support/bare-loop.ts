// The peer of the log path: nothing but SHA-256 and zstd level 3, in pieces of 1 MiB, over the file that its argument names, held
// in memory. Prints the CPU seconds that this took.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { constants, zstdCompressSync } from "node:zlib";

const pieceBytes = 1024 * 1024;
const bytes = readFileSync(process.argv[2] ?? "");
const began = process.cpuUsage();
const hash = createHash("sha256");
for (let at = 0; at < bytes.length; at += pieceBytes) {
  const piece = bytes.subarray(at, at + pieceBytes);
  hash.update(piece);
  zstdCompressSync(piece, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
}
hash.digest();
const { user, system } = process.cpuUsage(began);
process.stdout.write(String((user + system) / 1e6));
