// A form that creates a job: shows only the fields of the chosen method, and suggests paths of the server.

function showWhatIsChosen(form) {
  for (const row of form.querySelectorAll("[data-only]")) {
    const [name, value] = row.dataset.only.split("=");
    row.hidden = form.elements[name]?.value !== value;
  }
}

function proposesPaths(form, input) {
  const list = document.createElement("datalist");
  list.id = `paths_${input.name}`;
  form.append(list);
  input.setAttribute("list", list.id);
  input.autocomplete = "off";
  let last = "";
  input.addEventListener("input", async () => {
    last = input.value;
    if (!last.startsWith("/")) return;
    const query = last;
    const response = await fetch(`${form.dataset.paths}?query=${encodeURIComponent(query)}`, {headers: {Accept: "application/json"}});
    if (!response.ok || query !== last) return;
    const {suggestions} = await response.json();
    list.replaceChildren(...suggestions.map((path) => new Option(path, path)));
  });
}

for (const form of document.querySelectorAll("form[data-create]")) {
  showWhatIsChosen(form);
  form.addEventListener("change", () => showWhatIsChosen(form));
  for (const input of form.querySelectorAll("input[data-path]")) proposesPaths(form, input);
}
