// A stranger to this project: reads and writes frames by docs/frame.md and the plain MessagePack package alone.
//   node frame.mjs read FILE...      one line of JSON a record; 64-bit integers as strings, bytes as SHA-256
//   node frame.mjs write JPEG OUT    writes a frame with a person in it
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { decode, encode } = await import(pathToFileURL(process.env.MSGPACK).href);

const shown = (_key, value) => {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return createHash("sha256").update(value).digest("hex");
  return value;
};

function read(file) {
  const frame = decode(new Uint8Array(readFileSync(file)), { useBigInt64: true });
  console.log(JSON.stringify(frame, shown));
}

function write(picture, out) {
  const now = 1_763_700_000_123_456_789n;
  const hop = {
    stage: "node", kind: "frame.mjs", version: "1", topic: "X",
    received_ns: now, published_ns: now + 1n, searched: ["person"], threshold: 0.5,
  };
  const frame = {
    v: 1, source: "from node", epoch: "n-1", sequence: 7, run: "live", captured_ns: now, width: 64, height: 48,
    image: readFileSync(picture),
    detections: [{ label: "person", confidence: 0.75, box: [8, 8, 40, 40] }, { label: "cup", confidence: 1, box: [0, 0, 64, 48] }],
    trail: [hop], attributes: { "node.note": "ü" },
  };
  writeFileSync(out, encode(frame, { useBigInt64: true }));
}

const [command, ...files] = process.argv.slice(2);
if (command === "read") files.forEach(read);
else write(...files);
