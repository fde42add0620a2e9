// Runs in the page, before the page's own scripts: notes what goes wrong, and what hls.js tells.

window.reelmillWatch = { fatal: [], violations: [], switches: [], samples: [], ended: false };

document.addEventListener('securitypolicyviolation', (event) => {
  window.reelmillWatch.violations.push(`${event.violatedDirective} forbids ${event.blockedURI || 'inline code'}`);
});

// The page hands its player over by setting this variable: from then on nothing is missed.
{
  let player;
  Object.defineProperty(window, 'reelmillPlayer', {
    get: () => player,
    set(hls) {
      player = hls;
      hls?.on('hlsLevelSwitched', (_, { level }) => window.reelmillWatch.switches.push(level));
      hls?.on('hlsError', (_, { fatal, type, details }) => {
        if (fatal) window.reelmillWatch.fatal.push(`${type}: ${details}`);
      });
    },
  });
}

/** Plays the video, and samples its picture a few times a second until it ends. */
window.reelmillWatch.play = async (video) => {
  const watch = window.reelmillWatch;
  const canvas = new OffscreenCanvas(64, 36);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let previous;
  const sample = () => {
    const last = watch.samples.at(-1);
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || video.currentTime < (last?.at ?? -1) + 0.25) return;
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const grey = luma(context.getImageData(0, 0, canvas.width, canvas.height).data);
    watch.samples.push({ at: video.currentTime, deviation: deviation(grey), change: previous && distance(grey, previous) });
    previous = grey;
  };
  video.addEventListener('ended', () => {
    watch.ended = true;
    clearInterval(timer);
  });
  const timer = setInterval(sample, 50);
  video.muted = true;
  await video.play();
};

function luma(rgba) {
  return Float32Array.from({ length: rgba.length / 4 }, (_, i) => 0.3 * rgba[4 * i] + 0.59 * rgba[4 * i + 1] + 0.11 * rgba[4 * i + 2]);
}

/** How far the points of a picture are from its mean: 0 for one colour. */
function deviation(grey) {
  const mean = grey.reduce((sum, value) => sum + value, 0) / grey.length;
  return Math.sqrt(grey.reduce((sum, value) => sum + (value - mean) ** 2, 0) / grey.length);
}

/** How far two pictures are from each other, point by point: 0 for the same. */
function distance(one, other) {
  return one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / one.length;
}
