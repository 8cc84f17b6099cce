// Sends a file to the server in pieces (the tus protocol), and goes on where it stopped: after a lost connection by
// itself, and after the page was left when the same file is chosen again.

const PIECE = 8 << 20; // bytes
const LONGEST_PAUSE = 30; // seconds between two attempts
const AGAIN = new Set([0, 408, 409, 423, 425, 429, 460, 500, 502, 503, 504]); // statuses after which another try can succeed
const KEPT = "digits.upload."; // names in the browser's storage, with the file's fingerprint behind
const VERSION = { "Tus-Resumable": "1.0.0" };

export class UploadFailed extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// One upload, in pieces of `piece` bytes. `report` is called with {sent, total, state}: sending, waiting (for the connection) or done.
export class ResumableUpload {
  constructor(endpoint, blob, { name, fingerprint, report, piece = PIECE }) {
    Object.assign(this, { endpoint, blob, name, fingerprint, report, piece });
    this.stopped = false;
  }

  // Sends the whole file. Returns its address on the server; null if it was stopped.
  async send() {
    let offset = await this.#found();
    if (offset === null) offset = await this.#begun();
    for (let pause = 1; offset < this.blob.size && !this.stopped; ) {
      try {
        offset = await this.#sendPiece(offset);
        pause = 1;
      } catch (failure) {
        if (this.stopped) break;
        if (!AGAIN.has(failure.status)) throw failure;
        this.report({ sent: offset, total: this.blob.size, state: "waiting" });
        await waited(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE);
        offset = (await this.#asked()) ?? offset;
      }
    }
    if (this.stopped) return null;
    this.report({ sent: this.blob.size, total: this.blob.size, state: "done" });
    return this.address;
  }

  stop() {
    this.stopped = true;
    this.request?.abort();
  }

  // The offset of an upload of the same file that was begun before; null if there is none.
  async #found() {
    this.address = localStorage.getItem(KEPT + this.fingerprint);
    if (!this.address) return null;
    try {
      return await this.#offset();
    } catch (failure) {
      if (AGAIN.has(failure.status)) return 0; // the first piece will be refused, and its offset asked for
      forget(this.fingerprint);
      return null;
    }
  }

  async #begun() {
    const headers = { ...VERSION, "Upload-Length": this.blob.size, "Upload-Metadata": `filename ${base64(this.name)}` };
    const response = await answered(fetch(this.endpoint, { method: "POST", headers }));
    this.address = new URL(response.headers.get("Location"), location.href).href;
    localStorage.setItem(KEPT + this.fingerprint, this.address);
    return 0;
  }

  async #asked() {
    try {
      return await this.#offset();
    } catch (failure) {
      if (AGAIN.has(failure.status)) return null;
      forget(this.fingerprint);
      throw failure;
    }
  }

  async #offset() {
    const response = await answered(fetch(this.address, { method: "HEAD", headers: VERSION }));
    return Number(response.headers.get("Upload-Offset"));
  }

  async #sendPiece(offset) {
    const piece = this.blob.slice(offset, offset + this.piece);
    const headers = { ...VERSION, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
    const checksum = await sha1(piece);
    if (checksum) headers["Upload-Checksum"] = `sha1 ${checksum}`;
    return new Promise((resolve, reject) => {
      const request = (this.request = new XMLHttpRequest()); // fetch does not report what was sent so far
      request.open("PATCH", this.address);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) =>
        this.report({ sent: offset + event.loaded, total: this.blob.size, state: "sending" });
      request.onload = () =>
        request.status === 204
          ? resolve(Number(request.getResponseHeader("Upload-Offset")))
          : reject(new UploadFailed(explained(request.responseText, request.status), request.status));
      request.onerror = request.onabort = () => reject(new UploadFailed("The connection was lost.", 0));
      request.send(piece);
    });
  }
}

// Removes an upload from the server, and forgets it here.
export async function remove(address, fingerprint) {
  forget(fingerprint);
  await fetch(address, { method: "DELETE", headers: VERSION }).catch(() => null); // it expires by itself too
}

export function forget(fingerprint) {
  localStorage.removeItem(KEPT + fingerprint);
}

async function answered(asked) {
  let response;
  try {
    response = await asked;
  } catch {
    throw new UploadFailed("The server can't be reached.", 0);
  }
  if (!response.ok) throw new UploadFailed(explained(await response.text(), response.status), response.status);
  return response;
}

function explained(text, status) {
  try {
    return JSON.parse(text).error.description;
  } catch {
    return `The server refused the upload (status ${status}).`;
  }
}

// The SHA-1 of a piece in Base64; null where the browser offers none, as on pages without HTTPS of another host.
async function sha1(piece) {
  let bytes;
  try {
    bytes = await piece.arrayBuffer();
  } catch {
    throw new UploadFailed("The files can't be read any more. Choose them again.", 400);
  }
  if (!globalThis.crypto?.subtle) return null;
  const digest = await crypto.subtle.digest("SHA-1", bytes);
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

function base64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

// Waits some seconds, or until the browser has a connection again.
function waited(seconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, 1000 * seconds);
    addEventListener("online", resolve, { once: true });
  });
}
