// What a DASH manifest promises, as far as the player check needs it.

/** Its video and audio representations, with when each ends. */
export function promises(text) {
  const sets = [...text.matchAll(/<AdaptationSet\b[\s\S]*?<\/AdaptationSet>/g)].map(([set]) => set);
  return sets.flatMap((set) => {
    const kind = attribute(set, 'contentType');
    const all = [...set.matchAll(/<Representation\b[\s\S]*?<\/Representation>/g)];
    return kind === 'text' ? [] : all.map(([representation]) => ({ kind, ...promise(representation) }));
  });
}

function promise(representation) {
  const entries = [...representation.matchAll(/<S\b[^>]*>/g)].map(([entry]) => entry);
  const ticks = entries.reduce((sum, entry) => sum + Number(attribute(entry, 'd')) * (1 + Number(attribute(entry, 'r') ?? 0)), 0);
  return {
    id: attribute(representation, 'id'),
    codecs: attribute(representation, 'codecs'),
    width: Number(attribute(representation, 'width')),
    height: Number(attribute(representation, 'height')),
    end: ticks / Number(attribute(representation, 'timescale')),
  };
}

function attribute(text, name) {
  return text.match(new RegExp(`\\s${name}="([^"]*)"`))?.[1];
}
