// A published ladder as a strict parser reads it, and all that can be said against it.

import HLS from 'hls-parser';
import { read as readAddress } from './source.mjs';

HLS.setOptions({ strictMode: true });

const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl';
/** How far segment boundaries of two renditions may be apart, in seconds: EXTINF is written with six decimals. */
const BOUNDARY_TOLERANCE = 0.001;

/** Reads the multivariant playlist at `master`, all it names, and tells every complaint, the worst first. */
export async function complaints(master, read = readAddress) {
  const found = [];
  const complain = (what, why) => found.push(`${shown(master, what)}: ${why}`);
  const ladder = await load(master, read, complain);
  if (ladder) {
    checkVariants(ladder, complain);
    checkBoundaries(ladder, complain);
    checkAudio(ladder, complain);
    for (const media of ladder.media.values()) {
      await checkMedia(media, read, complain);
    }
    checkBandwidth(ladder, complain);
  }
  // What variants share is complained of once.
  return [...new Set(found)];
}

/** The parsed multivariant playlist with its media playlists by address; nothing if it cannot be parsed. */
async function load(master, read, complain) {
  const top = await playlist(master, read, complain);
  if (!top) return undefined;
  if (!top.isMasterPlaylist) {
    complain(master, 'this is a media playlist, but a multivariant playlist is wanted');
    return undefined;
  }
  const ladder = { master, top, media: new Map() };
  const named = [...top.variants, ...top.variants.flatMap((variant) => variant.audio ?? [])];
  // Variants share their audio: each address is read once.
  for (const uri of new Set(named.map(({ uri }) => uri))) {
    if (!uri) continue;
    const url = new URL(uri, master);
    if (!url.href.startsWith(new URL('.', master).href)) complain(url, 'lies outside the folder of the ladder');
    const parsed = await playlist(url, read, complain);
    if (parsed?.isMasterPlaylist) complain(url, 'a media playlist is wanted, but this is a multivariant one');
    else if (parsed) ladder.media.set(url.href, { url, playlist: parsed, peak: 0 });
  }
  return ladder;
}

async function playlist(url, read, complain) {
  try {
    const { bytes, type } = await read(url);
    if (type !== undefined && type !== PLAYLIST_TYPE) complain(url, `is served as ${type}, not as ${PLAYLIST_TYPE}`);
    return HLS.parse(bytes.toString('utf8'));
  } catch (error) {
    complain(url, `cannot be read: ${error.message.replace('Invalid Playlist : ', '')}`);
    return undefined;
  }
}

/** The variants that have a picture, each with its media playlist. */
function pictures(ladder) {
  return ladder.top.variants
    .map((variant) => ({ variant, media: ladder.media.get(new URL(variant.uri, ladder.master).href) }))
    .filter(({ variant }) => variant.resolution || /avc1|hvc1|hev1|av01/.test(variant.codecs ?? ''));
}

function checkVariants(ladder, complain) {
  if (pictures(ladder).length === 0) complain(ladder.master, 'no variant has a picture');
  if (!ladder.top.independentSegments) complain(ladder.master, 'EXT-X-INDEPENDENT-SEGMENTS is missing');
  for (const { variant } of pictures(ladder)) {
    const url = new URL(variant.uri, ladder.master);
    if (!variant.codecs) complain(url, 'its variant has no CODECS');
    if (!variant.resolution) complain(url, 'its variant has no RESOLUTION');
    if (!variant.frameRate) complain(url, 'its variant has no FRAME-RATE');
    if (variant.averageBandwidth > variant.bandwidth) complain(url, 'AVERAGE-BANDWIDTH is above BANDWIDTH');
  }
}

/** All pictures are cut at the same moments, so that a player can change between them at any segment. */
function checkBoundaries(ladder, complain) {
  const [first, ...others] = pictures(ladder).flatMap(({ media }) => media ?? []);
  if (!first) return;
  const wanted = boundaries(first.playlist);
  for (const other of others) {
    const got = boundaries(other.playlist);
    if (got.length !== wanted.length) {
      complain(other.url, `has ${got.length} segments, but ${shown(ladder.master, first.url)} has ${wanted.length}`);
      continue;
    }
    const at = got.findIndex((end, index) => Math.abs(end - wanted[index]) > BOUNDARY_TOLERANCE);
    if (at >= 0) complain(other.url, `segment ${at} ends at ${got[at].toFixed(3)} s, but elsewhere at ${wanted[at].toFixed(3)} s`);
  }
}

/** When each segment ends, in seconds. */
function boundaries({ segments }) {
  let end = 0;
  return segments.map(({ duration }) => (end += duration));
}

function checkAudio(ladder, complain) {
  for (const { variant, media } of pictures(ladder)) {
    const tracks = (variant.audio ?? []).filter(({ uri }) => uri);
    for (const { uri } of tracks) {
      const audio = ladder.media.get(new URL(uri, ladder.master).href);
      if (!audio || !media) continue;
      const apart = Math.abs((boundaries(audio.playlist).at(-1) ?? 0) - (boundaries(media.playlist).at(-1) ?? 0));
      if (apart > media.playlist.targetDuration) complain(audio.url, `ends ${apart.toFixed(3)} s away from the picture`);
    }
    if (tracks.length > 0 && !/mp4a|ac-3|ec-3|opus|fLaC/i.test(variant.codecs ?? '')) {
      complain(new URL(variant.uri, ladder.master), 'its variant has an AUDIO group, but CODECS names no audio');
    }
  }
}

/** A media playlist for itself: finished, honest about its target duration, and all that it names is there. */
async function checkMedia(media, read, complain) {
  const { url, playlist: { targetDuration, segments, endlist, playlistType } } = media;
  if (!endlist) complain(url, 'has no EXT-X-ENDLIST');
  if (playlistType !== 'VOD') complain(url, 'its EXT-X-PLAYLIST-TYPE is not VOD');
  if (segments.length === 0) return complain(url, 'has no segment');
  // The parser refuses a target below a segment's rounded duration; one far above makes players wait and buffer more.
  const longest = Math.max(...segments.map(({ duration }) => duration));
  if (targetDuration > Math.ceil(longest)) {
    complain(url, `EXT-X-TARGETDURATION is ${targetDuration}, but the longest segment has ${longest} s`);
  }
  for (const init of new Set(segments.map(({ map }) => map?.uri))) {
    if (!init) complain(url, 'a segment has no EXT-X-MAP');
    else if (box(await bytesOf(new URL(init, url), read, complain)) !== 'ftyp') {
      complain(new URL(init, url), 'is no init segment: it does not begin with a ftyp box');
    }
  }
  const sizes = [];
  for (const { uri } of segments) {
    sizes.push((await bytesOf(new URL(uri, url), read, complain)).length);
  }
  media.peak = peakBitrate(segments.map(({ duration }) => duration), sizes, targetDuration);
}

async function bytesOf(url, read, complain) {
  try {
    const { bytes } = await read(url);
    if (bytes.length === 0) complain(url, 'is empty');
    return bytes;
  } catch (error) {
    complain(url, `cannot be read: ${error.message}`);
    return Buffer.alloc(0);
  }
}

/** The type of the first box of an ISO base media file. */
function box(bytes) {
  return bytes.subarray(4, 8).toString('latin1');
}

/**
 * The largest bit rate of any contiguous set of segments that lasts between 0.5 and 1.5 target durations, as RFC 8216
 * defines it.
 */
export function peakBitrate(durations, sizes, target) {
  let peak = 0;
  for (let from = 0; from < durations.length; from++) {
    let seconds = 0;
    let bytes = 0;
    for (let to = from; to < durations.length && seconds <= 1.5 * target; to++) {
      seconds += durations[to];
      bytes += sizes[to];
      if (seconds >= 0.5 * target && seconds <= 1.5 * target) peak = Math.max(peak, (8 * bytes) / seconds);
    }
  }
  return peak;
}

function checkBandwidth(ladder, complain) {
  for (const { variant, media } of pictures(ladder)) {
    if (media && variant.bandwidth < Math.floor(media.peak)) {
      complain(media.url, `BANDWIDTH says ${variant.bandwidth} bit/s, but its picture alone peaks at ${Math.ceil(media.peak)}`);
    }
  }
}

/** An address relative to the ladder's folder, if it lies in it. */
function shown(master, url) {
  const folder = new URL('.', master).href;
  return url.href.startsWith(folder) ? decodeURI(url.href.slice(folder.length)) : url.href;
}
