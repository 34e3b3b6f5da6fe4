// Collects the findings of a verification: tampering, and notices for information.

/** `invalid`: the object does not match its seal or its key. `broken chain`: the seal does not follow the previous one. */
export type TamperVerdict = "invalid" | "missing" | "unexpected" | "broken chain";

/**
 * `corrected`: a seal with a wrong host that a later seal corrects. `unsealed`: not in a seal yet, and recent. `tombstoned`: removed by
 * decision, but still in the store. `damaged`: reported as damaged in a seal. `foreign`: an object that does not belong to the archive.
 * `clock`: a seal has an earlier time than the previous one.
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
  /** The object's key; for a row, its table and ids. */
  readonly key: string;
  readonly detail: string;
};

/** Maximum number of findings kept; more are only counted. */
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

  /** Number of all findings of tampering, including those not kept. */
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
