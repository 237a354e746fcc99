import type { State } from "./connection";
import { duration } from "./liveness";

/** What the page knows of the way from the bus to here. */
export interface Situation {
  /** Whether the page's server is there; null before the first try came out. */
  readonly server: boolean | null;
  /** ms since that is so. */
  readonly since: number;
  readonly state: State | null;
  /** ms since the bus is as it is. */
  readonly busSince: number;
  readonly tiles: number;
  readonly live: number;
}

export interface Words {
  readonly kind: "connecting" | "offline" | "no-broker" | "refused" | "empty" | "idle" | "live";
  readonly short: string;
  /** On every tile, while what it shows cannot be live. */
  readonly why: string;
  readonly title: string;
  readonly text: string;
  readonly command: string;
}

const QUIET = { why: "", title: "", text: "", command: "" };

/** Put the situation in words. */
export function wordsFor(now: Situation): Words {
  if (now.server === false) {
    return {
      kind: "offline",
      short: "Server gone",
      why: "server gone",
      title: `The page’s server has been gone for ${duration(now.since)}.`,
      text: "Pictures are the last that came through. Trying again all the time; if nobody starts it:",
      command: "python consumer/app.py",
    };
  }
  if (now.server === null || !now.state) return { ...QUIET, kind: "connecting", short: "Connecting" };
  return ofTheBus(now, now.state);
}

function ofTheBus(now: Situation, state: State): Words {
  if (state.bus.word === "connecting") return { ...QUIET, kind: "connecting", short: "Looking for the broker" };
  if (state.bus.word === "away") {
    return {
      kind: "no-broker",
      short: "No broker",
      why: "no broker",
      title: `No broker at ${state.kafka} for ${duration(now.busSince)}.`,
      text: "The page goes on by itself when it is back. To start one on this machine:",
      command: startCommand(state.kafka),
    };
  }
  if (state.bus.word === "refused") {
    const text = state.bus.problem;
    return { kind: "refused", short: "Broker refuses", why: "broker refuses", title: "The broker refuses.", text, command: "" };
  }
  if (now.tiles === 0) return { ...QUIET, kind: "empty", short: "Waiting for a camera" };
  return now.live > 0 ? { ...QUIET, kind: "live", short: "Live" } : { ...QUIET, kind: "idle", short: "Nothing live" };
}

/** What starts a broker at this address, if it is of this machine. */
function startCommand(kafka: string): string {
  const port = /^[^,]*:(\d+)/.exec(kafka)?.[1] ?? "9092";
  return port === "9092" ? "imagebus kafka start" : `imagebus kafka start --port ${port}`;
}

/** What the empty page says of the bus. */
export function emptyText(state: State): string {
  if (state.topics === 0) return `The broker at ${state.kafka} is there; it has no topics yet.`;
  const topics = state.topics === 1 ? "one topic, which carries" : `${state.topics} topics; none carries`;
  return `The broker at ${state.kafka} is there. It has ${topics}${state.topics === 1 ? " no frames yet." : " frames yet."}`;
}

/** What is not shown, and why. */
export function footnote(state: State): string {
  const parts: string[] = [];
  if (state.evicted > 0) {
    parts.push(`${state.evicted} ${state.evicted === 1 ? "feed was" : "feeds were"} left out, the longest silent first: at most ${state.limit} are shown.`);
  }
  if (state.nameless > 0) parts.push(`${state.nameless} ${state.nameless === 1 ? "record" : "records"} came whose source cannot be told.`);
  return parts.join(" ");
}
