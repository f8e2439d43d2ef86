// Run MicroPython's WebAssembly port in Node.js: see tools/checks/versions.py.
//
//     node run_wasm.mjs PACKAGE_DIR JOB
//
// JOB is JSON: {"mounts": [[folder here, folder there], ...], "programs": [text, ...]}. Each
// program has an interpreter of its own, with copies of the folders as its file system.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, job] = process.argv.slice(2);
const { mounts, programs } = JSON.parse(job);
const module = path.resolve(folder, "micropython.mjs");
const { loadMicroPython } = await import(pathToFileURL(module));

function copy(files, from, to) {
  if (!files.analyzePath(to).exists) files.mkdir(to);
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [here, there] = [path.join(from, entry.name), `${to}/${entry.name}`];
    if (entry.isDirectory()) {
      if (entry.name !== "__pycache__") copy(files, here, there);
    } else if (/\.(py|mpy)$/.test(entry.name)) {
      files.writeFile(there, fs.readFileSync(here));
    }
  }
}

for (const program of programs) {
  const python = await loadMicroPython({
    heapsize: 96 << 10, // the initial size: this port's heap grows
    linebuffer: true,
    stdout: (line) => console.log(line),
    url: path.resolve(folder, "micropython.wasm"),
  });
  for (const [from, to] of mounts) copy(python.FS, from, to);
  python.runPython(program);
}
