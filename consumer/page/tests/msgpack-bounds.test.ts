import { encode } from "@msgpack/msgpack";
import { expect, test } from "vitest";
import { checkBounds } from "../src/msgpack-bounds";

test("every kind of value is walked over to its very end", () => {
  const long = "x".repeat(70_000);
  const numbers = [0, -1, 127, 128, 255, 256, 65_536, 2 ** 33, -200, -40_000, -(2 ** 31), 1.5, 2n ** 63n];
  const values = [null, true, false, ...numbers, "a", "x".repeat(40), "x".repeat(300), long, new Date(0)];
  const bins = [1, 300, 70_000].map((size) => new Uint8Array(size));
  const lists = [[], Array(20).fill(1), Array(70_000).fill(1)];
  const maps = [{}, Object.fromEntries(Array.from({ length: 20 }, (_, i) => [i, i]))];
  checkBounds(encode([...values, ...bins, ...lists, ...maps], { useBigInt64: true }));
});

test("a million nested lists are refused before anything is built", () => {
  const bomb = new Uint8Array(1_000_001).fill(0x91);
  bomb[1_000_000] = 0xc0;
  expect(() => checkBounds(bomb)).toThrow(/deeper/);
});

test("a record full of empty lists is refused", () => {
  const bomb = new Uint8Array(5 + 1_000_000).fill(0x90);
  bomb.set([0xdd, 0, 0x0f, 0x42, 0x40]);
  expect(() => checkBounds(bomb)).toThrow(/items/);
});
