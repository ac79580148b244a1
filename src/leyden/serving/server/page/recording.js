/** The button that starts and ends a recording. */

import { byId } from "./elements.js";
import { record } from "./recorder.js";

const LONGEST = 55; // seconds; the server takes 60 by default

let stop = null; // ends the recording that is being made
let isStarting = false;
let count = 0;

/** Call `onFile` for each finished recording. */
export function listenToRecording(onFile) {
  byId("record").addEventListener("click", () => (stop ? finish(onFile) : begin(onFile)));
}

async function begin(onFile) {
  if (isStarting) return; // the browser asks for the microphone
  isStarting = true;
  byId("record-error").textContent = "";
  try {
    stop = await record((seconds, amplitude) => {
      showProgress(seconds, amplitude);
      if (seconds > LONGEST) finish(onFile);
    });
    showState(true);
  } catch (error) {
    byId("record-error").textContent = error.message;
  } finally {
    isStarting = false;
  }
}

async function finish(onFile) {
  if (!stop) return;
  const stopNow = stop;
  stop = null;
  showState(false);
  count += 1;
  onFile(new File([await stopNow()], `recording ${count}.wav`, { type: "audio/wav" }));
}

function showState(isRecording) {
  byId("record").textContent = isRecording ? "Stop and predict" : "Record";
  byId("record").classList.toggle("recording", isRecording);
  byId("progress").hidden = !isRecording;
}

function showProgress(seconds, amplitude) {
  const whole = Math.floor(seconds);
  const time = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  byId("progress").style.setProperty("--level", Math.min(1, 2 * amplitude));
  byId("elapsed").textContent = time;
}
