/** Fail when the shell or a route outgrows its budget (gzipped JavaScript, as a browser would fetch it). */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);
const SHELL_KB = 130;
const ROUTE_KB = 170;

const manifest = JSON.parse(readFileSync(new URL("manifest.json", dist), "utf8"));
const weights = new Map();

function weigh(file) {
  if (!weights.has(file)) weights.set(file, gzipSync(readFileSync(new URL(file, dist))).length / 1024);
  return weights.get(file);
}

function closure(key, files = new Set()) {
  const chunk = manifest[key];
  if (files.has(chunk.file)) return files;
  files.add(chunk.file);
  for (const imported of chunk.imports ?? []) closure(imported, files);
  return files;
}

const sum = (files) => [...files].filter((file) => file.endsWith(".js")).reduce((total, file) => total + weigh(file), 0);

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const shell = closure(entry);
let over = false;

function report(name, size, limit) {
  const verdict = size > limit ? "OVER" : "ok";
  over ||= size > limit;
  console.log(`${name.padEnd(64)} ${size.toFixed(1).padStart(7)} KB  of ${limit}  ${verdict}`);
}

report("shell", sum(shell), SHELL_KB);
for (const key of Object.keys(manifest).filter((name) => manifest[name].isDynamicEntry).sort()) {
  const own = [...closure(key)].filter((file) => !shell.has(file));
  report(key, sum(own), ROUTE_KB);
}
process.exit(over ? 1 : 0);
