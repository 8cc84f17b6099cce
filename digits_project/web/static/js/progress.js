// Shows the progress of a job, from its events, in the bar of components/progress.html within `box`.
export function showProgress(box, {progress, seconds_left: seconds}) {
  const bar = box?.querySelector("progress");
  if (!bar) return;
  bar.value = progress;
  const percent = bar.parentElement.querySelector("[data-percent]");
  percent.textContent = `${Math.floor(100 * progress)} %`;
  while (percent.nextSibling) percent.nextSibling.remove(); // the time left, as the server knew it
  if (seconds !== null && seconds !== undefined) percent.after(` · about ${duration(seconds)} left`);
}

function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  const parts = [[Math.floor(minutes / 60), "hour"], [minutes % 60, "minute"]].filter(([number]) => number);
  return seconds < 60 ? `${seconds} s` : parts.map(([number, unit]) => `${number} ${unit}${number > 1 ? "s" : ""}`).join(", ");
}
