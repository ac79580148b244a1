/** Recording from the microphone as a WAV file of 16-bit samples of one channel. */

const HEADER_BYTES = 44;

const MESSAGES = {
  NotAllowedError: "The browser does not let this page use the microphone.",
  NotFoundError: "No microphone was found.",
};

/** Whether the browser lets pages at this address record. */
export function canRecord() {
  return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);
}

/** Start to record.
 *
 * @param onBlock Called with the seconds so far and the largest amplitude, 0 to 1, of a block.
 * @returns A function that ends the recording and returns its file.
 * @throws Error with a message to show if there is no microphone.
 */
export async function record(onBlock) {
  const stream = await openMicrophone();
  const context = new AudioContext();
  await context.resume(); // Safari suspends it
  await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
  const blocks = [];
  const worklet = new AudioWorkletNode(context, "recorder");
  worklet.port.onmessage = ({ data: block }) => {
    blocks.push(block);
    const amplitude = block.reduce((largest, sample) => Math.max(largest, Math.abs(sample)), 0);
    onBlock((blocks.length * block.length) / context.sampleRate, amplitude);
  };
  // Only what leads to the destination is computed; the worklet itself is silent.
  context.createMediaStreamSource(stream).connect(worklet).connect(context.destination);

  return async () => {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
    return encodeWav(blocks, context.sampleRate);
  };
}

async function openMicrophone() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    throw new Error(MESSAGES[error.name] ?? `The microphone cannot be used: ${error.message}`);
  }
}

/** Encode blocks of samples from -1 to 1. */
function encodeWav(blocks, sampleRate) {
  const samples = Int16Array.from(
    blocks.flatMap((block) => [...block]),
    (sample) => Math.round(32767 * Math.max(-1, Math.min(1, sample))),
  );
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  writeText(header, 0, "RIFF");
  header.setUint32(4, HEADER_BYTES - 8 + samples.byteLength, true);
  writeText(header, 8, "WAVEfmt ");
  header.setUint32(16, 16, true); // bytes of the format, which follows
  header.setUint16(20, 1, true); // integers, not compressed
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, 2 * sampleRate, true); // bytes per second
  header.setUint16(32, 2, true); // bytes of one sample of all channels
  header.setUint16(34, 16, true); // bits of one sample
  writeText(header, 36, "data");
  header.setUint32(40, samples.byteLength, true);
  return new Blob([header, samples], { type: "audio/wav" });
}

function writeText(view, offset, text) {
  [...text].forEach((letter, index) => view.setUint8(offset + index, letter.charCodeAt(0)));
}
