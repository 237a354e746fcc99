/** What may be called live. */

export type Liveness = "waiting" | "live" | "delayed" | "stale";

/** All in ms, on this browser's own clock. */
export interface Times {
  /** Since the feed's last record came in. */
  readonly silent: number;
  /** Since the picture shown was taken. */
  readonly age: number;
  /** Records a second, 0 where it is not known. */
  readonly rate: number;
  /** Whether the way from the bus to here is open. */
  readonly connected: boolean;
}

const PATIENCE_MS = 3000;
const MOST_PATIENCE_MS = 30_000;

/** Stale when nothing comes any more, delayed when it comes but is old; a slow camera gets three of its beats. */
export function liveness({ silent, age, rate, connected }: Times): Exclude<Liveness, "waiting"> {
  const beat = rate > 0 ? 1000 / rate : 0;
  const patience = Math.min(Math.max(PATIENCE_MS, 3 * beat), MOST_PATIENCE_MS);
  if (!connected || silent > patience) return "stale";
  return age > PATIENCE_MS + beat ? "delayed" : "live";
}

/** A duration for people: 80 ms, 3.2 s, 45 s, 12 min, 3 h, 2 d. */
export function duration(ms: number): string {
  const positive = Math.max(0, ms);
  if (positive < 995) return `${Math.round(positive / 10) * 10} ms`;
  const s = positive / 1000;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`;
}
