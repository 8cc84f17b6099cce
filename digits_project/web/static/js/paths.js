// Suggests paths of the server while one is typed.

for (const input of document.querySelectorAll("input[data-paths]")) {
  let last = "";
  input.addEventListener("input", async () => {
    last = input.value;
    if (!last.startsWith("/")) return;
    const query = last;
    try {
      const response = await fetch(`${input.dataset.paths}?query=${encodeURIComponent(query)}`, {headers: {Accept: "application/json"}});
      if (!response.ok || query !== last) return;
      const {suggestions} = await response.json();
      input.list.replaceChildren(...suggestions.map((path) => new Option(path, path)));
    } catch {
      // The server can't be reached: there is nothing to suggest.
    }
  });
}
