// Builds the page: `node build.mjs FOLDER`. `node build.mjs --test` builds the tests of test/ and runs them.
//
// Out: index.html, app.js, app.css, one file for each chunk that loads later, licences.txt and what public/ has.
// Equal inputs and versions give equal bytes: everything is minified, no source map, no absolute path.
// Each asset is addressed as NAME?v=VERSION, where VERSION is a hash of all of them: file names stay the same in
// the git history, and a page never mixes two builds.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
// Baseline of exact numbers (JSON.parse with source text), which the page needs anyway.
const BROWSERS = ["chrome114", "firefox135", "safari18.4"];
// Script and style of the first paint, gzip, in bytes.
const LIMIT = 90_000;
const GOAL = 60_000;

const size = (bytes) => gzipSync(bytes, { level: 9 }).length;
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

async function bundle() {
  const result = await build({
    absWorkingDir: HERE,
    entryPoints: { app: "src/main.tsx" },
    outdir: "out",
    entryNames: "[name]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    target: BROWSERS,
    minify: true,
    charset: "utf8",
    legalComments: "none",
    jsx: "automatic",
    jsxImportSource: "preact",
    metafile: true,
    write: false,
  });
  // Browsers leave out a rule that they cannot read, such as one with the marks of a merge.
  if (result.warnings.length > 0) throw new Error("esbuild has warned, see above");
  const outputs = Object.entries(result.metafile.outputs).map(([path, output]) => ({
    path: basename(path),
    output,
  }));
  const texts = new Map(result.outputFiles.map((file) => [basename(file.path), file.text]));
  return { outputs, texts };
}

/** Names without a hash, by the names of esbuild. Chunks of one name get numbers in the order of their inputs. */
function stableNames(outputs) {
  const names = new Map();
  const used = new Set();
  const key = ({ output }) => Object.keys(output.inputs).sort().join("\n");
  for (const each of [...outputs].sort((a, b) => (key(a) < key(b) ? -1 : 1))) {
    const [, stem, suffix] = /^(.*?)(?:-[A-Z0-9]{8})?(\.\w+)$/.exec(each.path);
    let name = stem + suffix;
    for (let number = 2; used.has(name); number += 1) {
      name = `${stem}-${number}${suffix}`;
    }
    used.add(name);
    names.set(each.path, name);
  }
  return names;
}

/** The scripts that app.js imports before it runs, itself included. */
function firstPaint(outputs) {
  const byPath = new Map(outputs.map((each) => [each.path, each.output]));
  const found = new Set();
  const visit = (path) => {
    if (found.has(path)) {
      return;
    }
    found.add(path);
    for (const each of byPath.get(path).imports) {
      if (each.kind === "import-statement") {
        visit(basename(each.path));
      }
    }
  };
  visit("app.js");
  return found;
}

function packageOf(input) {
  const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input) ?? [];
  return name;
}

function licences(outputs) {
  const inputs = outputs.flatMap(({ output }) => Object.keys(output.inputs));
  const packages = [...new Set(inputs.map(packageOf).filter(Boolean))].sort();
  const texts = packages.map((name) => {
    const folder = join(HERE, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    if (!file) {
      throw new Error(`${name} has no licence file`);
    }
    const text = readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `The page contains these packages.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

/** A line for each dependency and folder of the source: bytes in the output, minified, first paint and later. */
function table(outputs, first) {
  const sizes = new Map();
  for (const { path, output } of outputs) {
    const column = first.has(path) || path.endsWith(".css") ? 0 : 1;
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const name = packageOf(input) ?? `src/${input.split("/").slice(1, -1).join("/")}`;
      const row = sizes.get(name) ?? [0, 0];
      row[column] += bytesInOutput;
      sizes.set(name, row);
    }
  }
  const rows = [...sizes].sort(([, a], [, b]) => b[0] + b[1] - a[0] - a[1]);
  const line = (name, a, b) => `${name.padEnd(28)} ${a.padStart(14)} ${b.padStart(14)}`;
  return [
    line("minified", "first paint", "later"),
    ...rows.map(([name, [a, b]]) => line(name, kB(a), kB(b))),
  ];
}

async function buildPage(folder) {
  const { outputs, texts } = await bundle();
  const names = stableNames(outputs);
  // esbuild's hashes of names are hashes of contents: with the other files they make the version.
  const hash = createHash("sha256");
  const shell = readFileSync(join(HERE, "src/index.html"), "utf8");
  hash.update(shell);
  for (const path of [...texts.keys()].sort()) {
    hash.update(`${path}\n${texts.get(path)}`);
  }
  const extra = join(HERE, "public");
  const copied = existsSync(extra) ? readdirSync(extra).sort() : [];
  for (const name of copied) {
    hash.update(`${name}\n`).update(readFileSync(join(extra, name)));
  }
  const version = hash.digest("hex").slice(0, 16);

  const files = new Map();
  for (const { path, output } of outputs) {
    let text = texts.get(path);
    for (const each of output.imports.filter(({ external }) => !external)) {
      const old = `"./${basename(each.path)}"`;
      if (!text.includes(old)) {
        throw new Error(`${path} does not import ${old}`);
      }
      text = text.replaceAll(old, `"./${names.get(basename(each.path))}?v=${version}"`);
    }
    files.set(names.get(path), text);
  }
  const first = firstPaint(outputs);
  const preloads = [...first].filter((path) => path !== "app.js").map((path) => names.get(path));
  const assets = [
    `<link rel="stylesheet" href="/assets/app.css?v=${version}">`,
    ...preloads.sort().map((name) => `<link rel="modulepreload" href="/assets/${name}?v=${version}">`),
    `<script type="module" src="/assets/app.js?v=${version}"></script>`,
  ];
  files.set(
    "index.html",
    shell.replaceAll("{{version}}", version).replace("{{assets}}", assets.join("\n    ")),
  );
  files.set("licences.txt", licences(outputs));

  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, "licences.txt"))) {
    throw new Error(`${folder} has other files than a build of the page`);
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of copied) {
    copyFileSync(join(extra, name), join(folder, name));
  }
  for (const [name, text] of files) {
    writeFileSync(join(folder, name), text);
  }

  const painted = [...first, "app.css"].reduce((sum, path) => sum + size(texts.get(path) ?? ""), 0);
  console.log(table(outputs, first).join("\n"));
  console.log(`version ${version}, first paint ${kB(painted)} gzip (goal ${kB(GOAL)}, limit ${kB(LIMIT)})`);
  if (painted > LIMIT) {
    throw new Error(`script and style of the first paint have ${kB(painted)} gzip, more than ${kB(LIMIT)}`);
  }
}

async function test() {
  const folder = mkdtempSync(join(tmpdir(), "askback-web-test-"));
  try {
    const sources = readdirSync(join(HERE, "test")).filter((name) => /\.test\.tsx?$/.test(name));
    await build({
      absWorkingDir: HERE,
      entryPoints: sources.map((name) => `test/${name}`),
      outdir: folder,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      jsx: "automatic",
      jsxImportSource: "preact",
      sourcemap: "inline",
    });
    const flags = ["--enable-source-maps", "--harmony-json-parse-with-source", "--test"];
    // One process for all files: the start of one for each took a third of the time.
    const all = join(folder, "all.mjs");
    writeFileSync(all, sources.map((name) => `import "./${name.replace(/\.tsx?$/, ".mjs")}";\n`).join(""));
    const done = spawnSync(process.execPath, [...flags, all], { stdio: "inherit", cwd: HERE });
    process.exitCode = done.status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const [argument] = process.argv.slice(2);
if (argument === "--test") {
  await test();
} else if (argument) {
  await buildPage(argument);
} else {
  console.error("usage: node build.mjs FOLDER | --test");
  process.exitCode = 2;
}
