// A choice shows only its own fields: lr_policy=step the fields that begin with lr_step_, method=folder those that begin
// with folder_.

for (const choice of document.querySelectorAll("form[data-form] select")) {
  const before = choice.name.includes("_") ? choice.name.replace(/_.*/, "_") : "";
  const fields = [...choice.form.elements].filter((field) => field.name && field !== choice);
  const show = () => {
    for (const option of choice.options) {
      for (const field of fields.filter((one) => option.value && one.name.startsWith(`${before}${option.value}_`))) {
        const box = field.closest("[data-field]");
        if (box) box.hidden = option.value !== choice.value;
      }
    }
  };
  choice.addEventListener("change", show);
  show();
}
