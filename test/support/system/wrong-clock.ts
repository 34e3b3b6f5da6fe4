// Loaded before a worker's own code (`--import`). Shifts its clock by CLOCK_SHIFT_HOURS. Timers and `performance` are not affected.

// oxlint-disable-next-line node/no-process-env -- a preloaded module has no other input
const shiftMs = Number(process.env["CLOCK_SHIFT_HOURS"] ?? 0) * 3_600_000;
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...parts: [] | ConstructorParameters<typeof RealDate>) {
    if (parts.length === 0) super(RealDate.now() + shiftMs);
    else super(...parts);
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
