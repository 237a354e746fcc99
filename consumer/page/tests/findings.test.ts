import { expect, test } from "vitest";
import { decodeFrame } from "../src/decode";
import { findings } from "../src/findings";
import { record } from "./records";

const redaction = { stage: "redaction", kind: "redaction", topic: "C" };
const detector = { stage: "ai", kind: "imageaiProcessor", topic: "B", searched: ["person"] };
const person = (redacted: boolean) => ({ label: "person", confidence: 0.9, box: [0, 0, 9, 9], redacted });

function of(trail: object[], detections: object[], isBlack = false) {
  return findings(decodeFrame(record({ trail, detections })).frame, isBlack);
}

test("labels are counted, the most frequent first", () => {
  const dog = { ...person(false), label: "dog" };
  expect(of([detector], [dog, person(false), person(false)]).counts).toEqual([["person", 2], ["dog", 1]]);
});

test("a picture that was redacted without a detector on its way says why it is black", () => {
  expect(of([redaction], [])).toMatchObject({ blackout: "blacked out whole: no detector looked", nothing: "" });
  expect(of([redaction], [person(true)]).blackout).toContain("no detector looked");
});

test("a redaction that had nothing to hide says so", () => {
  expect(of([detector, redaction], [])).toMatchObject({ blackout: "", nothing: "nothing found to black out" });
  expect(of([detector, redaction], [person(true)])).toMatchObject({ blackout: "", nothing: "" });
});

test("a picture that is all black is never said to hide nothing", () => {
  const { nothing, blackout } = of([detector, redaction], [], true);
  expect(nothing).toBe("");
  expect(blackout).toContain("all black");
});

test("a picture that is black because the box of what is hidden covers it, is no mistake", () => {
  const large = { ...person(true), box: [0, 0, 9999, 9999] };
  const { frame } = decodeFrame(record({ trail: [detector, redaction], detections: [] }));
  const covered = { ...frame, detections: [{ ...large, box: [3, 3, frame.width - 3, frame.height - 3] as const }] };
  expect(findings(covered, true).blackout).toBe("all black: what is hidden fills the picture");
  const half = { ...frame, width: 64, height: 48, detections: [{ ...large, box: [0, 0, 32, 48] as const }] };
  expect(findings(half, true).blackout).toContain("no detector looked");
});

test("what no redaction passed says nothing of it", () => {
  expect(of([detector], [])).toMatchObject({ blackout: "", nothing: "" });
});
