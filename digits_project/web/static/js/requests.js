// Requests for pages, and their errors as text.

export const UNREACHABLE = "The server can't be reached. Nothing that you typed is lost; try again in a moment.";

// The response to a request for a page: {response, page}; `page` is null if the response is no page.
export async function fetchPage(address, options = {}) {
  const response = await fetch(address, {...options, headers: {Accept: "text/html", ...options.headers}});
  const isPage = (response.headers.get("Content-Type") || "").startsWith("text/html");
  return {response, page: isPage ? new DOMParser().parseFromString(await response.text(), "text/html") : null};
}

// Why a request was refused, as the page of the response says.
export function problemOf(page, response) {
  const text = page?.getElementById("problem")?.innerText?.trim() || page?.querySelector("main h1")?.textContent.trim();
  return text || `The server refused this (${response.status}).`;
}

// Replace parts of this page, by their ids, by those of another.
export function replaceParts(page, ids) {
  for (const id of ids) {
    const [here, there] = [document.getElementById(id), page.getElementById(id)];
    if (here && there && here.outerHTML !== there.outerHTML) {
      here.replaceWith(document.adoptNode(there));
      window.htmx?.process(document.getElementById(id));
    }
  }
}
