// The page of a job polls its status. When the status changes, the parts of the page with data-live and an id are
// replaced; forms are not, so that a half-typed note stays.
import {poll} from "./poll.js";
import {fetchPage, replaceParts} from "./requests.js";

const ENDED = ["Done", "Aborted", "Error"];

const job = document.querySelector("[data-status]");
let shown = job?.dataset.status;
let polls = false;

async function update() {
  const response = await fetch(job.dataset.statusAddress, {headers: {Accept: "application/json"}});
  if (!response.ok) throw new Error(response.statusText);
  const {status, progress} = await response.json();
  if (!status) return polls = false; // the job was deleted
  const bar = document.querySelector("#job-progress progress");
  if (bar) {
    bar.value = progress;
    bar.parentElement.querySelector("[data-percent]").textContent = `${Math.floor(100 * progress)} %`;
  }
  if (status !== shown) {
    const {page} = await fetchPage(location.href);
    if (page) {
      replaceParts(page, [...document.querySelectorAll("[data-live][id]")].map((part) => part.id));
      shown = status;
      document.dispatchEvent(new CustomEvent("job-changed", {detail: {status}}));
    }
  }
  return polls = !ENDED.includes(status);
}

function start() {
  if (!job || polls) return;
  polls = true;
  poll(update);
}

if (!ENDED.includes(shown)) start();
document.addEventListener("sent", start); // such as a resume
