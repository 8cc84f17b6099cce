// The page of a job follows its events. When the status changes, the parts of the page with data-live and an id are
// replaced, when the name changes its head; forms are not, so that a half-typed note stays.
import {watch} from "./events.js";
import {showProgress} from "./progress.js";
import {fetchPage, replaceParts} from "./requests.js";

const job = document.querySelector("[data-status]");
const RETRY_MILLISECONDS = 2000; // after a page that could not be had
let retry;
const shown = {status: job?.dataset.status, name: job?.dataset.name};
let wanted = shown; // what the newest event says

function follow({detail: {status, name}}) {
  if (status === "Deleted" || (status === wanted.status && name === wanted.name)) return;
  wanted = {status, name};
  show(wanted);
}

async function show(change) {
  clearTimeout(retry);
  try {
    const {response, page} = await fetchPage(location.href);
    if (change !== wanted) return; // a newer page may be shown already
    if (response.status >= 500) throw new Error(`The page's status is ${response.status}.`);
    if (!page) return;
    const isRenamed = change.status === shown.status;
    replaceParts(page, isRenamed ? ["page-head"] : [...document.querySelectorAll("[data-live][id]")].map((part) => part.id));
    document.title = page.title;
    Object.assign(shown, change);
    if (!isRenamed) document.dispatchEvent(new CustomEvent("job-changed", {detail: {status: change.status}}));
  } catch {
    if (change === wanted) retry = setTimeout(() => show(change), RETRY_MILLISECONDS);
  }
}

if (job) {
  document.addEventListener("digits:progress", ({detail}) => showProgress(document.getElementById("job-progress"), detail));
  document.addEventListener("digits:status", follow);
  const types = job.dataset.further?.split(" ") || []; // such as metrics, which the page itself handles
  watch({url: job.dataset.eventsAddress, jobs: [job.dataset.job], types: ["status", "progress", ...types]});
}
