// What a verification says of an archive: tampering, which is what it looks for, and what is only worth knowing.

/** `invalid`: it is not what was sealed, or not what its key says. `broken chain`: it is not the next seal. */
export type TamperVerdict = "invalid" | "missing" | "unexpected" | "broken chain";

/**
 * `corrected`: a seal that is wrong about its host, as a later seal admits. `unsealed`: in no seal yet, and young enough. `tombstoned`: removed by decision, and still there. `damaged`: the archive itself
 * says so in a seal. `foreign`: in the archive's place, and nothing that an archive holds. `clock`: a seal is older than the one before.
 */
export type NoticeVerdict =
  | "corrected"
  | "unsealed"
  | "known gaps"
  | "tombstoned"
  | "damaged"
  | "foreign"
  | "clock"
  | "not compared";

export type Finding<V extends string = TamperVerdict> = {
  readonly verdict: V;
  /** Of the object; of a row, its table and ids. */
  readonly key: string;
  readonly detail: string;
};

/** So many are kept one by one; what is beyond is counted. */
const maxKept = 10_000;

export class Findings {
  readonly tampering: Finding[] = [];
  readonly notices: Finding<NoticeVerdict>[] = [];
  readonly counts = new Map<TamperVerdict | NoticeVerdict, number>();

  tamper(verdict: TamperVerdict, key: string, detail: string): void {
    this.#count(verdict);
    if (this.tampering.length < maxKept) this.tampering.push({ verdict, key, detail });
  }

  notice(verdict: NoticeVerdict, key: string, detail: string): void {
    this.#count(verdict);
    if (this.notices.length < maxKept) this.notices.push({ verdict, key, detail });
  }

  /** Of all, kept or not. */
  get tamperCount(): number {
    return this.#sum(["invalid", "missing", "unexpected", "broken chain"]);
  }

  get leftOut(): number {
    const all = [...this.counts.values()].reduce((sum, count) => sum + count, 0);
    return all - this.tampering.length - this.notices.length;
  }

  #count(verdict: TamperVerdict | NoticeVerdict): void {
    this.counts.set(verdict, (this.counts.get(verdict) ?? 0) + 1);
  }

  #sum(verdicts: readonly TamperVerdict[]): number {
    return verdicts.reduce((sum, verdict) => sum + (this.counts.get(verdict) ?? 0), 0);
  }
}
