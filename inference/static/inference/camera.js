// The camera of the page that classifies: a button starts it, each picture goes to `take`, and another button frees it.
const QUALITY = 0.92; // of the JPEG

const MESSAGES = {
  NotAllowedError: "The browser does not let this page use the camera; allow it in the settings of the page.",
  NotFoundError: "There is no camera.",
  NotReadableError: "Another program uses the camera.",
};

const toBlob = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));

export function usesCamera(part, take) {
  if (!navigator.mediaDevices?.getUserMedia) return; // also on a page without https
  const [video, shown, error] = [part("video"), part("camera-part"), part("camera-error")];
  let stream = null;
  let pictures = 0;

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    shown.hidden = true;
    part("camera").disabled = false;
  }

  async function start() {
    error.hidden = true;
    part("camera").disabled = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}, audio: false});
      stream.getTracks().forEach((track) => track.addEventListener("ended", stop)); // it was unplugged
      video.srcObject = stream;
      part("shoot").disabled = true; // until there is a picture
      shown.hidden = false;
      await video.play();
      part("shoot").disabled = false;
      part("shoot").focus();
    } catch (wrong) {
      stop();
      error.textContent = MESSAGES[wrong.name] || `The camera can't be used: ${wrong.message}`;
      error.hidden = false;
    }
  }

  async function shoot() {
    const canvas = Object.assign(document.createElement("canvas"), {width: video.videoWidth, height: video.videoHeight});
    canvas.getContext("2d").drawImage(video, 0, 0);
    const picture = await toBlob(canvas);
    if (picture) take([new File([picture], `camera-${++pictures}.jpg`, {type: picture.type})]);
  }

  part("camera").hidden = false;
  part("camera").addEventListener("click", start);
  part("camera-stop").addEventListener("click", () => {
    stop();
    part("camera").focus();
  });
  part("shoot").addEventListener("click", shoot);
  window.addEventListener("pagehide", stop);
}
