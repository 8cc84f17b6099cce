// Packs files into a tar without reading them: the parts of a Blob stay where they are until they are sent.

const BLOCK = 512;
const NAME = 100; // bytes of a name that fit into a header
const text = new TextEncoder();

// A tar of [{path, file}], the same bytes for the same files in the same order.
export function tar(files) {
  const parts = files.flatMap(({ path, file }) => [...headers(path, file.size), file, padding(file.size)]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)]);
}

function headers(path, size) {
  const name = text.encode(path);
  if (name.length <= NAME) return [header(name, size, "0")];
  const record = extended(path);
  return [header(text.encode("long"), record.length, "x"), record, padding(record.length), header(name.slice(0, NAME), size, "0")];
}

// The record of an extended header that holds a long path. It begins with its own length.
function extended(path) {
  const rest = text.encode(` path=${path}\n`);
  let length = rest.length;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  const record = new Uint8Array(length);
  record.set(text.encode(length));
  record.set(rest, String(length).length);
  return record;
}

function header(name, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (at, value) => block.set(text.encode(value), at);
  block.set(name);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, " ".repeat(8));
  put(156, type);
  put(257, "ustar\x0000");
  put(148, `${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `);
  return block;
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
