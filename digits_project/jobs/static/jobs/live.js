// Keeps parts of a page up to date: every element with an id and data-live="SECONDS" is fetched again and
// replaced, while the page is visible and the user is not using the element.

async function refresh(elements) {
  const response = await fetch(window.location.href, {headers: {Accept: "text/html"}});
  if (!response.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const element of elements) {
    const fresh = page.getElementById(element.id);
    if (fresh && !element.contains(document.activeElement)) element.replaceChildren(...fresh.childNodes);
  }
}

const bySeconds = new Map();
for (const element of document.querySelectorAll("[data-live][id]")) {
  const seconds = Number(element.dataset.live);
  bySeconds.set(seconds, [...(bySeconds.get(seconds) || []), element]);
}
for (const [seconds, elements] of bySeconds) {
  let busy = false;
  setInterval(async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      await refresh(elements);
    } catch {
      // The server can't be reached; the next request will try again.
    } finally {
      busy = false;
    }
  }, seconds * 1000);
}
