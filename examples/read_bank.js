// Reads a bank from the description of its format alone (bank_format/FORMAT.md), without supsup:
// checks every seal and digest, decodes every mask and signature, prints each task's name, density
// and, where it has a signature, its classes, features and the mean length of its directions (1):
//     node examples/read_bank.js BANK          exit code 0, or 5 where a file is damaged
const [crypto, fs, path] = [require("node:crypto"), require("node:fs"), require("node:path")];
const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest("hex");
const packedSize = (bits) => Math.ceil(bits / 8);
const byCodePoint = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const must = (held, invariant) => {
  if (!held) throw new Error(`breaks ${invariant} of FORMAT.md`);
};

// JavaScript has one kind of number, canonical JSON has two (1 and 1.0), and a digest covers their
// spelling. So a number is read as the text "n1.0", a text as "s…", and a key "kind" as "skind".
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
  const value = JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, tagged));
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
  const { __metadata__: texts, "~seal": seal, ...entries } = JSON.parse(data.subarray(8, start));
  must(String(seal.data_offsets) === `${data.length - start - 32},${data.length - start}`, "I3");
  const tensors = {};
  const described = Object.keys(entries).sort(byCodePoint).map((name) => {
    const { dtype, shape, data_offsets: [first, last] } = entries[name];
    tensors[name] = data.subarray(start + first, start + last);
    return { dtype, name, sha256: sha256(tensors[name]), shape };
  });
  return { tensors, described: JSON.stringify(described), metadata: parseCanonical(texts.supsup) };
}

const onesOf = (bytes) =>
  [...Array(8 * bytes.length).keys()].filter((i) => (bytes[i >> 3] >> (i & 7)) & 1);

// The positions of a mask's ones, of n weights.
function decode(coding, stored, n) {
  must(coding.scoding !== "spacked" || stored.length === packedSize(n), "I9");
  if (coding.scoding === "spacked") return onesOf(stored);
  if (coding.scoding === "srice-dropped") {
    const dropped = new Set(decode({ ...coding, scoding: "srice", sones: coding.szeros }, stored, n));
    must([...dropped].every((i) => i < n), "I9");
    return [...Array(n).keys()].filter((i) => !dropped.has(i));
  }
  must(coding.scoding === "srice", "I5");
  const [k, ones] = [Number(coding.sk.slice(1)), Number(coding.sones.slice(1))];
  const split = packedSize(ones * k);
  const ends = onesOf(stored.subarray(split));
  must(stored.length < packedSize(n) && split <= stored.length && ends.length === ones, "I9");
  must(split === stored.length || stored.at(-1) !== 0, "I9");
  const gaps = ends.map((end, i) => (end - (i ? ends[i - 1] + 1 : 0)) * 2 ** k);
  for (const i of onesOf(stored.subarray(0, split))) gaps[Math.floor(i / k)] += 2 ** (i % k);
  let position = -1;
  return gaps.map((gap) => (position += gap + 1));
}

// What is told of a signature of the model gaussians-1; every array must be as long as it states.
function readSignature(content, tensors) {
  const shapes = {};
  for (const [name, { stype, sshape }] of Object.entries(content.sarrays ?? {})) {
    const shape = sshape.map((size) => Number(size.slice(1)));
    const bytes = { sfloat16: 2, sfloat32: 4, sint8: 1, suint8: 1 }[stype];
    must(tensors[name.slice(1)]?.length === shape.reduce((n, size) => n * size, bytes), "I9");
    shapes[name.slice(1)] = shape;
  }
  if (content.ssignature?.smodel !== "sgaussians-1") return [];
  const [classes, features] = shapes["signature/means"];
  const [stored, scales] = ["directions", "direction-scales"].map((n) => tensors[`signature/${n}`]);
  const width = Math.ceil(features / 2);
  const nibble = (row, i) => ((stored[row * width + (i >> 1)] >> (4 * (i & 1))) & 15) - 8;
  const lengths = [...Array(scales.length / 4).keys()].map((row) => {
    const squares = [...Array(features).keys()].map((i) => nibble(row, i) ** 2);
    return scales.readFloatLE(4 * row) * Math.sqrt(squares.reduce((sum, one) => sum + one, 0));
  }).filter((length) => length > 0);
  return [classes, features, lengths.reduce((sum, one) => sum + one, 0) / (lengths.length || 1)];
}

// The positions where the parents' votes, +1 or -1 each, weighed and added up, exceed the bias.
function vote(stored, parents, n) {
  const weight = (place) => stored.readFloatLE(4 * place);
  const kept = parents.map((ones) => new Set(ones));
  const sum = (i) => kept.reduce((sum, ones, k) => sum + (ones.has(i) ? weight(k) : -weight(k)), 0);
  return [...Array(n).keys()].filter((i) => sum(i) > weight(parents.length));
}

// A file of a task, or of a signature made later: what it says, once its name and digest are right.
function readContent(folder, task, base, kinds) {
  const { tensors, described, metadata } = readSealed(path.join(folder, `${task}.safetensors`));
  const content = metadata.scontent;
  must(kinds.includes(content.skind) && ["n1", "n2"].includes(content.sversion), "I4");
  must(content.stask === `s${task}`, "I7");
  must(content.sbase_sha256 === base, "I8");
  const digest = `s${sha256(`{"content":${canonical(content)},"tensors":${described}}`)}`;
  must(metadata.scontent_sha256 === digest, "I10");
  return { content, tensors, digest, signature: readSignature(content, tensors) };
}

function readTask(folder, task, base, masked, kinds = ["smask", "scombination"]) {
  const { content, tensors, digest, signature } = readContent(folder, task, base, kinds);
  const parents = (content.sencoding ? [] : content.sparents).map(({ stask, scontent_sha256 }) => {
    const parent = readTask(folder, stask.slice(1), base, masked, ["smask"]);
    must(parent.digest === scontent_sha256, "I11");
    return parent.masks;
  });
  const sizes = masked.map((one) => one.sshape.reduce((n, size) => n * Number(size.slice(1)), 1));
  const masks = masked.map(({ sname }, i) => {
    const [name, of] = [sname.slice(1), parents.map((parent) => parent[i])];
    if (!content.sencoding) return vote(tensors[`coefficients/${name}`], of, sizes[i]);
    const ones = decode(content.sencoding[sname], tensors[`mask/${name}`], sizes[i]);
    must((ones.at(-1) ?? 0) < sizes[i], "I9");
    return ones;
  });
  const density = masks.flat().length / sizes.reduce((sum, n) => sum + n);
  return { digest, masks, density, signature };
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
    if (!task) continue;
    const { density, digest, signature } = readTask(path.dirname(file), task, base, masked);
    const later = path.join(bank, "signatures", name);
    if (!signature.length && fs.existsSync(later)) {
      file = later;
      const other = readContent(path.dirname(later), task, base, ["ssignature"]);
      if (other.content.stask_sha256 === digest) signature.push(...other.signature);
    }
    console.log(task, density, ...signature);
  }
} catch (error) {
  console.error(`${file}: ${error.message}`);
  process.exitCode = 5;
}
