// The files that somebody drops on a page or chooses, with their folders: [{path, file}].

const LITTER = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/; // what file managers leave behind
export const ARCHIVE = /\.(zip|tar|tar\.gz|tgz|tar\.bz2|tbz2?)$/i;

// Of a drop. Call it in the event: afterwards the browser has forgotten what was dropped.
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = entries.length ? (await Promise.all(entries.map(filesBelow))).flat() : loose(transfer.files);
  return withoutLitter(found);
}

// Of an input for files or for a folder.
export function chosen(input) {
  return withoutLitter(loose(input.files));
}

function loose(files) {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

function withoutLitter(files) {
  return files.filter(({ path }) => !LITTER.test(path));
}

async function filesBelow(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    return new Promise((resolve, reject) => entry.file((file) => resolve([{ path, file }]), reject));
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    if (!some.length) return found;
    for (const inner of some) found.push(...(await filesBelow(inner)));
  }
}

// A short text that differs for other files, by which an upload of the same files is found again.
export function fingerprint(name, files) {
  let one = 0x811c9dc5;
  let two = 0x01000193;
  for (const { path, file } of files) {
    for (const letter of `${path}\0${file.size}\0${file.lastModified}\0`) {
      one = Math.imul(one ^ letter.codePointAt(0), 0x01000193);
      two = Math.imul(two ^ letter.codePointAt(0), 0x5bd1e995);
    }
  }
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  return `${name}-${files.length}-${size}-${(one >>> 0).toString(16)}${(two >>> 0).toString(16)}`;
}
