// Runs in a page of our own, after Shaka Player and watch.js: opens a manifest with one rung, and tells what was seen.

window.reelmillDash = {
  decodes: (codecs) => MediaSource.isTypeSupported(`video/mp4; codecs="${codecs}"`),

  /** Opens the manifest so that only the representation of this name is played. */
  async open(address, id) {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    this.player = player;
    player.addEventListener('error', ({ detail }) => window.reelmillWatch.fatal.push(`${detail.code}: ${detail.data}`));
    await player.attach(document.querySelector('#player'));
    player.configure({ abr: { enabled: false }, manifest: { dash: { ignoreMinBufferTime: false } } });
    await player.load(address);
    const rungs = player.getVariantTracks().filter(({ originalVideoId }) => originalVideoId === id);
    if (rungs.length === 0) throw new Error(`Shaka sees ${player.getVariantTracks().map((t) => t.originalVideoId)}`);
    const plain = rungs.find(({ channelsCount }) => channelsCount === 2) ?? rungs[0];
    // What was fetched of another rung before is thrown away.
    player.selectVariantTrack(plain, true);
  },

  seen() {
    const video = document.querySelector('#player');
    const ranges = ({ length }, of) => Array.from({ length }, (_, i) => of(i));
    const { fatal, violations, samples, ended } = window.reelmillWatch;
    const { duration, currentTime: position, videoWidth: width, videoHeight: height } = video;
    const played = ranges(video.played, (i) => [video.played.start(i), video.played.end(i)]);
    const { audio, video: pictures } = this.player.getBufferedInfo();
    return { fatal, violations, samples, ended, duration, position, played, shown: { width, height }, buffered: { audio, video: pictures } };
  },
};
