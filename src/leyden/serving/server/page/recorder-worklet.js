/** Sends blocks of samples to the page; runs in the audio thread. */

const SAMPLES = 2048; // per block; a multiple of the 128 samples of a call

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
