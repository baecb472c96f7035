// Builds the pages' static files: each under a name that carries the hash of its content, so that browsers may keep it for ever,
// with compressed copies beside it where those are smaller, and manifest.json from the plain name to the hashed one.
// Nothing is fetched: npm has put the packages into node_modules.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const own = join(root, "src/stoa/web/assets");
const built = join(own, "built");
const fresh = join(own, "built.new");

const ours = (name) => readFileSync(join(own, name), "utf8");
const theirs = (name) => readFileSync(join(root, "node_modules", name), "utf8");

// What every page stands on, in this order; then what single rooms add for theirs, a sheet each.
const ground = ["tokens", "elements", "frame", "plain", "menus", "lists", "marks", "notes", "values", "forms"].map((name) => `${name}.css`);
const apart = ["reference.css", "styleguide.css"];
const rooms = readdirSync(own).filter((name) => name.endsWith(".css") && !ground.includes(name) && !apart.includes(name)).sort();

// Pico stands in a cascade layer: whatever our own style sheets say wins over it, however specific its selectors are.
function css() {
  const pico = theirs("@picocss/pico/css/pico.classless.min.css").replace(/^@charset "UTF-8";/, "");
  const sheets = [...ground, ...rooms].map((name) => plain(ours(name)));
  return `@charset "UTF-8";\n@layer pico{${pico}}\n${sheets.join("\n")}\n`;
}

// Comments and indentation are for whoever reads the source. No text of ours holds either.
function plain(sheet) {
  return sheet.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\n\s*/g, "\n").replace(/\n{2,}/g, "\n").trim();
}

// In the order in which they name one another: a file's hash covers the hashed names of what it loads.
const sources = [
  ["stoa.svg", () => ours("stoa.svg")],
  ["uplot.css", () => theirs("uplot/dist/uPlot.min.css")],
  ["uplot.js", () => `${theirs("uplot/dist/uPlot.iife.min.js")}\nexport default uPlot;\n`],
  ["charts.js", () => ours("charts.js")],
  ["htmx.js", () => `${theirs("htmx.org/dist/htmx.min.js")}\n${theirs("htmx-ext-sse/dist/sse.min.js")}\n`],
  ["theme.js", () => ours("theme.js")],
  ["stoa.js", () => ours("stoa.js")],
  ["reference.js", () => ours("reference.js")],
  ["stoa.css", css],
  ...apart.map((name) => [name, () => plain(ours(name))]),
];

rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });
const manifest = {};
for (const [name, read] of sources) {
  const text = read().replace(/(["'])\.\/([a-z]+\.(?:js|css))\1/g, (_, quote, other) => {
    if (!manifest[other]) {
      throw new Error(`${name} loads ${other}, which is not built before it.`);
    }
    return `${quote}./${manifest[other]}${quote}`;
  });
  const content = Buffer.from(text);
  const extension = extname(name);
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
  manifest[name] = `${name.slice(0, -extension.length)}.${hash}${extension}`;
  write(manifest[name], content);
}
writeFileSync(join(fresh, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
// A build that fails half way leaves the old files in place.
rmSync(built, { recursive: true, force: true });
renameSync(fresh, built);

function write(name, content) {
  writeFileSync(join(fresh, name), content);
  const copies = {
    br: brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }),
    gz: gzipSync(content, { level: 9 }),
  };
  for (const [suffix, copy] of Object.entries(copies)) {
    if (copy.length < content.length) {
      writeFileSync(join(fresh, `${name}.${suffix}`), copy);
    }
  }
}
