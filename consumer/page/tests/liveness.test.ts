import { expect, test } from "vitest";
import { duration, liveness } from "../src/liveness";

const now = { silent: 100, age: 150, rate: 10, connected: true };

test("a picture that has just come and has just been taken is live", () => {
  expect(liveness(now)).toBe("live");
});

test("three seconds without a picture make it stale", () => {
  expect(liveness({ ...now, silent: 3001, age: 3100 })).toBe("stale");
});

test("nothing is live while the way to it is broken", () => {
  expect(liveness({ ...now, connected: false })).toBe("stale");
});

test("an old picture that has just come is delayed, never live", () => {
  expect(liveness({ ...now, age: 60_000 })).toBe("delayed");
});

test("a camera of one picture in ten seconds is live between them, and stale after three that did not come", () => {
  expect(liveness({ ...now, rate: 0.1, silent: 9000, age: 9100 })).toBe("live");
  expect(liveness({ ...now, rate: 0.1, silent: 30_001, age: 30_100 })).toBe("stale");
});

test.each([
  [-5, "0 ms"], [83, "80 ms"], [999, "1.0 s"], [3210, "3.2 s"], [45_400, "45 s"],
  [720_000, "12 min"], [3 * 3_600_000, "3 h"], [4 * 86_400_000, "4 d"],
])("%d ms reads %s", (ms, words) => {
  expect(duration(ms)).toBe(words);
});
