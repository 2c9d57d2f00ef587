// Reads a bank from the description of its format alone (bank_format/FORMAT.md), without supsup:
// checks every seal and digest, decodes every mask, prints each task's name and density.
//
//     node examples/read_bank.js BANK          exit code 0, or 5 where a file is damaged
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const packedSize = (bits) => Math.ceil(bits / 8);
const byCodePoint = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const must = (held, invariant) => {
  if (!held) throw new Error(`breaks ${invariant} of FORMAT.md`);
};

// JavaScript has one kind of number, canonical JSON has two (1 and 1.0), and a digest covers their
// spelling. So a number is read as the text "n1.0", a text as "s…", and a key "kind" as "skind".
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
const tagged = (token) => (token[0] === '"' ? `"s${token.slice(1)}` : `"n${token}"`);

function canonical(value) {
  if (typeof value === "string")
    return value[0] === "n" ? value.slice(1) : JSON.stringify(value.slice(1));
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return String(value);
  const keys = Object.keys(value).sort(byCodePoint);
  return `{${keys.map((key) => `${canonical(key)}:${canonical(value[key])}`).join(",")}}`;
}

function parseCanonical(text, end = "") {
  const value = JSON.parse(text.replace(TOKEN, tagged));
  must(canonical(value) + end === text, "I3");
  return value;
}

function readRecord(file) {
  const { ssha256: stated, ...record } = parseCanonical(fs.readFileSync(file, "utf8"), "\n");
  must(stated === `s${sha256(`${canonical(record)}\n`)}`, "I2");
  must(record.sformat === "ssupsup-bank" && record.sversion === "n1", "I4");
  return record;
}

function readSealed(file) {
  const data = fs.readFileSync(file);
  must(sha256(data.subarray(0, -32)) === data.subarray(-32).toString("hex"), "I2");
  const start = 8 + Number(data.readBigUInt64LE(0));
  must(start <= Math.min(data.length, 8 + 2 ** 23), "I3");
  const header = JSON.parse(data.toString("utf8", 8, start));
  const { __metadata__: texts, "~seal": seal, ...entries } = header;
  must(String(seal.data_offsets) === `${data.length - start - 32},${data.length - start}`, "I3");
  const tensors = {};
  const described = Object.keys(entries).sort(byCodePoint).map((name) => {
    const { dtype, shape, data_offsets: [first, last] } = entries[name];
    tensors[name] = data.subarray(start + first, start + last);
    return { dtype, name, sha256: sha256(tensors[name]), shape };
  });
  return { tensors, described: JSON.stringify(described), metadata: parseCanonical(texts.supsup) };
}

function onesOf(bytes) {
  const places = [];
  for (let place = 0; place < 8 * bytes.length; place++)
    if ((bytes[place >> 3] >> (place & 7)) & 1) places.push(place);
  return places;
}

// The positions of a mask's ones, of n weights.
function decode(coding, stored, n) {
  if (coding.scoding === "spacked") {
    must(stored.length === packedSize(n), "I9");
    return onesOf(stored);
  }
  const [k, ones] = [Number(coding.sk.slice(1)), Number(coding.sones.slice(1))];
  const split = packedSize(ones * k);
  const ends = onesOf(stored.subarray(split));
  must(stored.length < packedSize(n) && split <= stored.length && ends.length === ones, "I9");
  must(split === stored.length || stored.at(-1) !== 0, "I9");
  const gaps = ends.map((end, i) => (end - (i ? ends[i - 1] + 1 : 0)) * 2 ** k);
  for (const place of onesOf(stored.subarray(0, split)))
    gaps[Math.floor(place / k)] += 2 ** (place % k);
  let position = -1;
  return gaps.map((gap) => (position += gap + 1));
}

function readTask(file, base, masked) {
  const { tensors, described, metadata } = readSealed(file);
  const content = metadata.scontent;
  must(content.skind === "smask" && content.sversion === "n1", "I4");
  must(content.stask === `s${path.basename(file, ".safetensors")}`, "I7");
  must(content.sbase_sha256 === base, "I8");
  const covered = `{"content":${canonical(content)},"tensors":${described}}`;
  must(metadata.scontent_sha256 === `s${sha256(covered)}`, "I10");
  let [kept, weights] = [0, 0];
  for (const { sname, sshape } of masked) {
    const n = sshape.reduce((count, size) => count * Number(size.slice(1)), 1);
    const positions = decode(content.sencoding[sname], tensors[`mask/${sname.slice(1)}`], n);
    must((positions.at(-1) ?? 0) < n, "I9");
    [kept, weights] = [kept + positions.length, weights + n];
  }
  return kept / weights;
}

const bank = process.argv[2] ?? "bank";
let file = path.join(bank, "bank.json");
try {
  const { sbase_sha256: base, sformat, skind, sversion, ...spec } = readRecord(file);
  file = path.join(bank, "base.safetensors");
  const covered = `{"spec":${canonical(spec)},"tensors":${readSealed(file).described}}`;
  must(base === `s${sha256(covered)}`, "I6");
  const masked = spec.sparameters.filter((one) => one.smasked);
  for (const name of fs.readdirSync(path.join(bank, "masks")).sort()) {
    const task = /^([a-z0-9][a-z0-9._-]{0,63})\.safetensors$/.exec(name)?.[1];
    file = path.join(bank, "masks", name);
    if (task) console.log(task, readTask(file, base, masked));
  }
} catch (error) {
  console.error(`${file}: ${error.message}`);
  process.exitCode = 5;
}
