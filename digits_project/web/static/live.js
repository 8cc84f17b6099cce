// Live events of jobs, from the server's event stream.
//
//   <main data-live="/events" data-live-jobs="ID ID" data-live-types="status,progress" data-live-since="EVENT ID">
//
// Each event is dispatched at that element and bubbles: `digits:status`, `digits:progress`, `digits:metrics`,
// `digits:queue`, with the event's data as `detail`; `digits:reset` when events may have been missed, so that the page
// has to read its data again; `digits:connection` with the state "live", "polling" or "ended" (logged out, or a job was
// deleted). A page without attributes calls watch() itself.

const TYPES = ["status", "progress", "metrics", "queue", "reset"];
const FIRST_PAUSE = 2000; // milliseconds between two polls, doubled until LONGEST_PAUSE
const LONGEST_PAUSE = 60000;
const POLLS_BEFORE_STREAM = 3; // after so many polls the stream is tried again

export function watch(element, { url, jobs = [], types = [], since = "" }) {
  let last = since; // the id of the last event
  let source = null;
  let timer = 0;
  let polls = 0;
  let state = "";
  let isOver = false;

  const dispatch = (type, detail) =>
    element.dispatchEvent(new CustomEvent(`digits:${type}`, { detail, bubbles: true }));

  function show(next) {
    if (next !== state) dispatch("connection", { state: (state = next) });
  }

  function address(path) {
    const query = new URLSearchParams(jobs.map((job) => ["job", job]));
    if (types.length) query.set("types", types.join(","));
    if (last) query.set("since", last);
    return `${path}?${query}`;
  }

  function open() {
    close();
    source = new EventSource(address(url));
    source.onopen = () => {
      polls = 0;
      show("live");
    };
    source.onerror = () => {
      // While the browser connects again by itself, the state is CONNECTING. It gives up on a refusal, such as 429.
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        later();
      }
    };
    source.onmessage = (event) => (last = event.lastEventId || last);
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        last = event.lastEventId || last;
        dispatch(type, JSON.parse(event.data));
      });
    }
  }

  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }

  function later() {
    timer = setTimeout(poll, Math.min(FIRST_PAUSE * 2 ** polls, LONGEST_PAUSE));
  }

  async function poll() {
    polls += 1;
    try {
      const response = await fetch(address(`${url}.json`), { headers: { Accept: "application/json" } });
      if ([401, 403, 404].includes(response.status)) {
        isOver = true;
        show("ended");
        return;
      }
      if (response.ok) {
        const recent = await response.json();
        show("polling");
        last = recent.last_event_id;
        for (const event of recent.events) dispatch(event.type, event.data);
      }
    } catch {
      // The server can't be reached; the next poll tries again.
    }
    if (document.hidden || isOver || source) return;
    if (polls % POLLS_BEFORE_STREAM === 0) open();
    else later();
  }

  // A browser opens few connections to a server, and each stream needs one: a page that nobody sees has none.
  function adapt() {
    if (isOver) return;
    if (document.hidden) close();
    else if (!source) open();
  }

  document.addEventListener("visibilitychange", adapt);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", adapt);
  adapt();
  return {
    stop() {
      isOver = true;
      close();
      document.removeEventListener("visibilitychange", adapt);
      window.removeEventListener("pagehide", close);
      window.removeEventListener("pageshow", adapt);
    },
  };
}

for (const element of document.querySelectorAll("[data-live]")) {
  const { live, liveJobs = "", liveTypes = "", liveSince = "" } = element.dataset;
  const words = (text) => text.split(/[\s,]+/).filter(Boolean);
  watch(element, { url: live, jobs: words(liveJobs), types: words(liveTypes), since: liveSince });
}
