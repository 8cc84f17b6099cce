// Live events of jobs, from the server's event stream; where none can be had, they are polled.
//
//   watch({url: "/events", jobs: [id], types: ["status"]})
//   <div data-events="/events" data-events-jobs="ID ID" data-events-types="status,queue" data-events-since="EVENT ID">
//
// Each event is dispatched at that element, or at the document, and bubbles: `digits:status`, `digits:progress`,
// `digits:metrics`, `digits:queue`, with the event's data as `detail`; `digits:reset` when events may have been missed, so
// that the page has to read its data again; `digits:connection` with the state "live", "polling", or "ended" after a logout
// or when a job is no longer there. docs/api.md describes the data.

const TYPES = ["status", "progress", "metrics", "queue", "reset"];
const SECONDS = 2; // between two polls, doubled up to MAX_SECONDS
const MAX_SECONDS = 60;
const SILENT_SECONDS = 10; // a stream that has not begun by then is stuck in a proxy
const POLLS = 3; // after so many polls the stream is tried again
const REFUSED = [401, 403, 404];

export function watch({url, jobs = [], types = [], since = ""}, target = document) {
  let last = since; // the id of the last event
  let source, timer, state;
  let polls = 0;

  const dispatch = (type, detail) => target.dispatchEvent(new CustomEvent(`digits:${type}`, {detail, bubbles: true}));
  const show = (next) => next !== state && dispatch("connection", {state: (state = next)});

  function address(path) {
    const query = new URLSearchParams(jobs.map((job) => ["job", job]));
    if (types.length) query.set("types", types.join(","));
    if (last) query.set("since", last);
    return `${path}?${query}`;
  }

  function open() {
    close();
    source = new EventSource(address(url));
    timer = setTimeout(fail, SILENT_SECONDS * 1000);
    source.addEventListener("start", (event) => {
      last = event.lastEventId;
      polls = 0;
      clearTimeout(timer);
      show("live");
    });
    source.onerror = () => source?.readyState === EventSource.CLOSED && fail(); // else the browser connects again
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        last = event.lastEventId || last;
        dispatch(type, JSON.parse(event.data));
      });
    }
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  function fail() {
    close();
    timer = setTimeout(poll, Math.min(SECONDS * 2 ** polls, MAX_SECONDS) * 1000);
  }

  async function poll() {
    polls += 1;
    try {
      const response = await fetch(address(`${url}.json`), {headers: {Accept: "application/json"}});
      if (REFUSED.includes(response.status)) return stop();
      if (response.ok) {
        const recent = await response.json();
        show("polling");
        last = recent.last_event_id;
        for (const {type, data} of recent.events) dispatch(type, data);
      }
    } catch {
      // The server can't be reached; the next poll tries again.
    }
    if (document.hidden || state === "ended") return;
    if (polls % POLLS) fail();
    else open();
  }

  // A browser opens only a few connections to a server, and each stream takes one: a page that nobody sees has none.
  function adapt() {
    if (document.hidden) close();
    else if (!source) open();
  }

  function stop() {
    close();
    document.removeEventListener("visibilitychange", adapt);
    window.removeEventListener("pagehide", close);
    window.removeEventListener("pageshow", adapt);
    show("ended");
  }

  document.addEventListener("visibilitychange", adapt);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", adapt);
  adapt();
  return stop;
}

// Call `act` soon after each event of these types, but at most once in so many milliseconds, and not before its last call
// has ended. What comes meanwhile is not left out, as by htmx's throttle: `act` is called once more.
export function after(types, milliseconds, act) {
  let [timer, last, acts, isDue] = [0, 0, false, false];
  const plan = () => {
    isDue = true;
    if (!acts) timer ||= setTimeout(call, Math.max(0, last + milliseconds - Date.now()));
  };
  const call = async () => {
    [timer, last, acts, isDue] = [0, Date.now(), true, false];
    try {
      await act();
    } finally {
      acts = false;
      if (isDue) plan();
    }
  };
  for (const type of types) document.addEventListener(`digits:${type}`, plan);
}

const words = (text = "") => text.split(/[\s,]+/).filter(Boolean);
for (const element of document.querySelectorAll("[data-events]")) {
  const {events, eventsJobs, eventsTypes, eventsSince} = element.dataset;
  watch({url: events, jobs: words(eventsJobs), types: words(eventsTypes), since: eventsSince}, element);
}
