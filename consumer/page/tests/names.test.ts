import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { colourOf } from "../src/colours";

test("no source file can turn a name into HTML", () => {
  for (const file of readdirSync("src").filter((name) => name.endsWith(".ts"))) {
    expect(readFileSync(`src/${file}`, "utf8"), file).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/);
  }
});

test("a label keeps its colour", () => {
  expect(colourOf("person")).toBe("#b8e04a");
  expect(new Set(["person", "car", "dog", "bicycle", "bus", "truck"].map(colourOf)).size).toBeGreaterThan(3);
});
