// The page of a job follows its events. When the status changes, the parts of the page with data-live and an id are
// replaced, when the name changes its head; forms are not, so that a half-typed note stays.
import {watch} from "./events.js";
import {showProgress} from "./progress.js";
import {fetchPage, replaceParts} from "./requests.js";

const job = document.querySelector("[data-status]");
const shown = {status: job?.dataset.status, name: job?.dataset.name};

async function showStatus({detail: {status, name}}) {
  if (status === "Deleted" || (status === shown.status && name === shown.name)) return;
  try {
    const {page} = await fetchPage(location.href);
    if (!page) return;
    const isRenamed = status === shown.status;
    replaceParts(page, isRenamed ? ["page-head"] : [...document.querySelectorAll("[data-live][id]")].map((part) => part.id));
    document.title = page.title;
    Object.assign(shown, {status, name});
    if (!isRenamed) document.dispatchEvent(new CustomEvent("job-changed", {detail: {status}}));
  } catch {
    // The server can't be reached; the stream begins with the status when it is back.
  }
}

if (job) {
  document.addEventListener("digits:progress", ({detail}) => showProgress(document.getElementById("job-progress"), detail));
  document.addEventListener("digits:status", showStatus);
  const types = job.dataset.further?.split(" ") || []; // such as metrics, which the page itself handles
  watch({url: job.dataset.eventsAddress, jobs: [job.dataset.job], types: ["status", "progress", ...types]});
}
