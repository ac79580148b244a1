/** Hands samples to the page in blocks, in the thread of the sound. */

const SAMPLES = 2048; // of a block; a multiple of the 128 that a call brings

class Recorder extends AudioWorkletProcessor {
  block = new Float32Array(SAMPLES);
  filled = 0;

  process([[channel]]) {
    if (!channel) return true;
    this.block.set(channel, this.filled);
    this.filled += channel.length;
    if (this.filled === SAMPLES) {
      this.port.postMessage(this.block);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
