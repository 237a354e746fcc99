// Reads a frame from standard input and tells it as JSON, or writes one: made from docs/frame.md alone.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.MODULES + "/");
const { decode, encode } = require("@msgpack/msgpack");

function told(key, value) {
  if (typeof value === "bigint") return String(value);
  return value instanceof Uint8Array ? createHash("sha256").update(value).digest("hex") : value;
}

if (process.argv[2] === "read") {
  const frame = decode(new Uint8Array(readFileSync(0)), { useBigInt64: true });
  process.stdout.write(JSON.stringify(frame, told));
} else {
  const at = BigInt(process.argv[3]);
  const image = readFileSync(0);
  const hop = { stage: "node", kind: "frame", version: "1", topic: "T", received_ns: at, published_ns: at + 1n };
  const frame = {
    v: 1, source: "Tür von Node", epoch: "n1", sequence: 2n ** 53n + 1n, run: "live", captured_ns: at,
    width: 64, height: 48, image,
    detections: [{ label: "person", confidence: 0.75, box: [0, 0, 32, 48] }],
    trail: [{ ...hop, searched: ["person"], threshold: 0.5 }],
    attributes: { "node.note": [1, null, true, "ü"] },
  };
  process.stdout.write(encode(frame, { useBigInt64: true }));
}
