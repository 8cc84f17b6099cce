// Polls the server until it has nothing more to send.

const SECONDS = 3;

// `update` draws new data and returns whether more can follow. While the page is hidden it is not called, unless
// `isEmpty` returns true, because nothing has been drawn yet.
export async function poll(update, isEmpty = () => false) {
  let goesOn = true;
  try {
    goesOn = (document.hidden && !isEmpty()) || (await update());
  } catch {
    // The server can't be reached; the next request will try again.
  }
  if (goesOn) setTimeout(() => poll(update, isEmpty), SECONDS * 1000);
}
