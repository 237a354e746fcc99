import { expect, test } from "vitest";
import type { State } from "../src/connection";
import { emptyText, footnote, type Situation, wordsFor } from "../src/status";

const up: State = {
  server: "a", kafka: "localhost:9092", bus: { word: "up", since: 0, problem: "" },
  topics: 3, feeds: [], evicted: 0, nameless: 0, limit: 256,
};
const fine: Situation = { server: true, since: 0, state: up, busSince: 0, tiles: 2, live: 1 };

test("live is said only where a tile is live", () => {
  expect(wordsFor(fine).kind).toBe("live");
  expect(wordsFor({ ...fine, live: 0 }).kind).toBe("idle");
});

test("a server that is gone comes before everything else", () => {
  expect(wordsFor({ ...fine, server: false, since: 12_000 })).toMatchObject({ kind: "offline", why: "server gone" });
  expect(wordsFor({ ...fine, server: false, since: 12_000 }).title).toContain("12 s");
});

test("a broker that is away is named, with how long and how to start one", () => {
  const away = wordsFor({ ...fine, state: { ...up, bus: { word: "away", since: 0, problem: "" } }, busSince: 8000 });
  expect(away).toMatchObject({ kind: "no-broker", command: "imagebus kafka start" });
  expect(away.title).toBe("No broker at localhost:9092 for 8.0 s.");
  const elsewhere = { ...up, kafka: "127.0.0.1:9471,b:1", bus: { word: "away", since: 0, problem: "" } as const };
  expect(wordsFor({ ...fine, state: elsewhere, busSince: 0 }).command).toBe("imagebus kafka start --port 9471");
});

test("a broker that refuses is quoted", () => {
  const bus = { word: "refused", since: 0, problem: "authorization failed" } as const;
  expect(wordsFor({ ...fine, state: { ...up, bus } }).text).toBe("authorization failed");
});

test("an empty page says what the bus has instead", () => {
  expect(wordsFor({ ...fine, tiles: 0, live: 0 }).kind).toBe("empty");
  expect(emptyText({ ...up, topics: 0 })).toContain("no topics yet");
  expect(emptyText({ ...up, topics: 1 })).toContain("one topic, which carries no frames yet");
  expect(emptyText(up)).toContain("3 topics; none carries frames yet");
});

test("what is left out is said", () => {
  expect(footnote(up)).toBe("");
  expect(footnote({ ...up, evicted: 4, nameless: 2 })).toMatch(/4 feeds.*256.*2 records/);
});
