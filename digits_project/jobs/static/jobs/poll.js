// Looks again and again, until there is nothing more to come.

const SECONDS = 3;

// `update` draws what is new and says whether more may come; while nobody looks at the page it is left alone, unless
// `isEmpty` says that nothing has been drawn yet.
export async function poll(update, isEmpty = () => false) {
  let goesOn = true;
  try {
    goesOn = (document.hidden && !isEmpty()) || (await update());
  } catch {
    // The server is away; the next look may find it.
  }
  if (goesOn) setTimeout(() => poll(update, isEmpty), SECONDS * 1000);
}
