// Calls a function again and again, less often while the server can't be reached, and not while the page is hidden.

const SECONDS = 2;
const MAX_SECONDS = 60;

// `update` returns whether to go on. After an error the wait doubles, up to a minute.
export function poll(update, seconds = SECONDS) {
  let wait = seconds;
  const again = async () => {
    let goesOn = true;
    if (!document.hidden) {
      try {
        goesOn = await update();
        wait = seconds;
      } catch {
        wait = Math.min(2 * wait, MAX_SECONDS);
      }
    }
    if (goesOn !== false) setTimeout(again, wait * 1000);
  };
  setTimeout(again, wait * 1000);
}
