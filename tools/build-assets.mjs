// Builds the pages' static files: each under a name that carries the hash of its content, so that browsers may keep it for ever,
// and manifest.json from the plain name to the hashed one. Nothing is fetched: npm has put the packages into node_modules.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const own = join(root, "src/stoa/web/assets");
const built = join(own, "built");
const fresh = join(own, "built.new");

const files = {
  "pico.css": join(root, "node_modules/@picocss/pico/css/pico.min.css"),
  "stoa.css": join(own, "stoa.css"),
  "stoa.svg": join(own, "stoa.svg"),
};

rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });
const manifest = {};
for (const [name, path] of Object.entries(files)) {
  const hash = createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
  const extension = extname(name);
  manifest[name] = `${name.slice(0, -extension.length)}.${hash}${extension}`;
  copyFileSync(path, join(fresh, manifest[name]));
}
writeFileSync(join(fresh, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
// A build that fails half way leaves the old files in place.
rmSync(built, { recursive: true, force: true });
renameSync(fresh, built);
