//! Replacing files of one folder in the root, all of them in one step.
//!
//! A new folder is made in clusters that nobody uses, and then the sector with the old folder's entry is written: before
//! that the old files are there, after it the new ones. What comes after only clears up. Who is stopped on the way leaves at
//! worst clusters that belong to nothing.

use super::{
    FatError::{self, Damaged, Full, NoFolder},
    Folder, Kind, MOST_FOLDER, Medium, Patch, Root, Volume, changes,
    entry::{self, Entry, New, REMOVED, SIZE, Stamp},
    get, set,
};

/// The longest file that is replaced: many times the longest that is ever put there.
const MOST_FILE: u64 = 1024 * 1024;

/// What is written, in this order: each step must be on the medium before the next one begins.
pub(crate) type Steps = Vec<Vec<Patch>>;

/// A file that is put into the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewFile {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it says; `None` removes the file.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// What the new folder holds.
struct Content {
    /// Its bytes, with room for the names for itself and its parent.
    bytes: Vec<u8>,
    /// The files that are no more.
    replaced: Vec<Entry>,
    /// The folders that stay.
    folders: Vec<Entry>,
}

/// Clusters that are taken, one after the other.
struct Clusters {
    table: Vec<u8>,
    kind: Kind,
    next: u32,
    end: u32,
}

impl Clusters {
    /// Makes a chain of so many free clusters.
    fn take(&mut self, count: u64) -> Result<Vec<u32>, FatError> {
        let mut chain = Vec::new();
        while (chain.len() as u64) < count {
            let free = (self.next..self.end).find(|cluster| get(&self.table, self.kind, *cluster) == 0);
            let cluster = free.ok_or(Full)?;
            self.next = cluster + 1;
            chain.push(cluster);
        }
        for (index, cluster) in chain.iter().enumerate() {
            let next = chain.get(index + 1).copied().unwrap_or(self.kind.last());
            set(&mut self.table, self.kind, *cluster, next);
        }
        Ok(chain)
    }
}

impl<M: Medium + ?Sized> Volume<'_, M> {
    /// How to put files into a folder in the root, which is made where there is none; other files in it stay. `name` is a
    /// short name in small letters.
    pub(crate) fn put(&self, name: &'static str, files: &[NewFile], time: Stamp) -> Result<Steps, FatError> {
        let shape = &self.shape;
        let mut root = self.root()?;
        let old = entry::entries(&root.bytes).into_iter().find(|entry| entry.is(name));
        let before = match &old {
            Some(old) if !old.folder => return Err(NoFolder(name.to_owned())),
            Some(old) => Some((old.cluster, self.folder(old.cluster)?)),
            None => None,
        };
        let end = shape.clusters + 2;
        let mut clusters = Clusters { table: self.table.clone(), kind: shape.kind, next: 2, end };
        let mut fill = Vec::new();

        let content = self.content(before.as_ref().map(|(_, folder)| folder), files, time, &mut clusters, &mut fill)?;
        let own = clusters.take((content.bytes.len() as u64).div_ceil(shape.cluster))?;
        let bytes = with_itself(content.bytes, own[0], time);
        self.fill(&own, &bytes, &mut fill);

        let switch = match &old {
            Some(old) => {
                let mut raw = root.bytes[old.at()..old.at() + SIZE].to_vec();
                entry::point(&mut raw, own[0]);
                self.sector_with(&root, old.at(), &raw)
            }
            None => {
                let at = self.slot(&mut root, &mut clusters, &mut fill)?;
                let small = 0x08;
                let new = New { folder: true, cluster: own[0], length: 0, time };
                self.sector_with(&root, at, &entry::plain(&short(name), small, new))
            }
        };
        let taken = changes(shape, &self.table, &clusters.table);
        let freed = self.freed(before.map(|(first, _)| first), &content.replaced)?;
        let mut wiped = self.zeros(&freed);
        for folder in &content.folders {
            wiped.extend(self.adopted(folder, own[0])?);
        }
        let mut cleared = clusters.table.clone();
        freed.iter().for_each(|cluster| set(&mut cleared, shape.kind, *cluster, 0));
        let mut released = changes(shape, &clusters.table, &cleared);
        released.extend(self.told_free(&cleared, clusters.next)?);
        Ok(vec![fill, taken, vec![switch], wiped, released])
    }

    /// The clusters of the old folder and of the files that are no more.
    fn freed(&self, folder: Option<u32>, files: &[Entry]) -> Result<Vec<u32>, FatError> {
        let whole = |first, most: u64| {
            let most = most.div_ceil(self.shape.cluster);
            let chain = self.chain(first, most + 1)?;
            if chain.len() as u64 > most { Err(Damaged("a file of ours is far too long")) } else { Ok(chain) }
        };
        let mut freed = folder.map_or(Ok(Vec::new()), |first| whole(first, MOST_FOLDER))?;
        for file in files.iter().filter(|file| file.cluster != 0) {
            freed.extend(whole(file.cluster, MOST_FILE)?);
        }
        Ok(freed)
    }

    /// What is left of secrets there: nothing.
    fn zeros(&self, clusters: &[u32]) -> Vec<Patch> {
        let zeros = vec![0; usize::try_from(self.shape.cluster).expect("128 sectors at most")];
        clusters.iter().map(|cluster| Patch { at: self.shape.place(*cluster), bytes: zeros.clone() }).collect()
    }

    /// What the new folder holds.
    fn content(
        &self,
        before: Option<&Folder>,
        files: &[NewFile],
        time: Stamp,
        clusters: &mut Clusters,
        fill: &mut Vec<Patch>,
    ) -> Result<Content, FatError> {
        let mut content = Content { bytes: vec![0; 2 * SIZE], replaced: Vec::new(), folders: Vec::new() };
        let mut taken = Vec::new();
        for (folder, kept) in
            before.iter().flat_map(|folder| entry::entries(&folder.bytes).into_iter().map(move |kept| (folder, kept)))
        {
            match files.iter().any(|file| kept.is(file.name)) {
                true if kept.folder => return Err(Damaged("a folder stands where a file of ours belongs")),
                true => content.replaced.push(kept),
                false => {
                    content.bytes.extend(&folder.bytes[kept.range.clone()]);
                    taken.push(kept.short);
                    content.folders.extend(kept.folder.then_some(kept));
                }
            }
        }
        for file in files {
            let Some(bytes) = &file.bytes else { continue };
            let chain = clusters.take((bytes.len() as u64).div_ceil(self.shape.cluster))?;
            self.fill(&chain, bytes, fill);
            let cluster = chain.first().copied().unwrap_or(0);
            let length = u32::try_from(bytes.len()).map_err(|_| Full)?;
            let (short, raw) = entry::named(file.name, &taken, New { folder: false, cluster, length, time });
            content.bytes.extend(raw);
            taken.push(short);
        }
        Ok(content)
    }

    /// A folder within the folder knows where its parent begins.
    fn adopted(&self, folder: &Entry, parent: u32) -> Result<Option<Patch>, FatError> {
        if !self.shape.has(folder.cluster) {
            return Err(Damaged("a folder lies outside of the volume"));
        }
        let at = self.shape.place(folder.cluster) + SIZE as u64;
        let mut raw = self.medium.bytes(at, SIZE)?;
        let is_parent = raw.starts_with(b"..         ");
        entry::point(&mut raw, parent);
        Ok(is_parent.then_some(Patch { at, bytes: raw }))
    }

    /// Bytes for a chain of clusters, and zeros for what is left of the last.
    fn fill(&self, chain: &[u32], bytes: &[u8], patches: &mut Vec<Patch>) {
        let size = usize::try_from(self.shape.cluster).expect("128 sectors at most");
        for (cluster, piece) in chain.iter().zip(bytes.chunks(size)) {
            let mut piece = piece.to_vec();
            piece.resize(size, 0);
            patches.push(Patch { at: self.shape.place(*cluster), bytes: piece });
        }
    }

    /// A place for an entry in the root, which may grow for it.
    fn slot(&self, root: &mut Folder, clusters: &mut Clusters, fill: &mut Vec<Patch>) -> Result<usize, FatError> {
        let free = root.bytes.chunks_exact(SIZE).position(|raw| raw[0] == 0 || raw[0] == REMOVED);
        if let Some(free) = free {
            let next = (free + 1) * SIZE;
            // What comes after the end may be anything, and would be read if the end moved.
            if root.bytes[free * SIZE] == 0 && root.bytes.get(next).is_some_and(|byte| *byte != 0) {
                let patch = Patch { at: root.at(next), bytes: vec![0; SIZE] };
                root.bytes[next..next + SIZE].fill(0);
                fill.push(patch);
            }
            return Ok(free * SIZE);
        }
        let Root::Chain(first) = self.shape.root else { return Err(Full) };
        let more = clusters.take(1)?[0];
        let last = *self.chain(first, u64::from(self.shape.clusters) + 1)?.last().ok_or(Full)?;
        set(&mut clusters.table, self.shape.kind, last, more);
        let at = root.bytes.len();
        root.bytes.resize(at + usize::try_from(self.shape.cluster).expect("128 sectors at most"), 0);
        root.pieces.push(self.shape.place(more));
        self.fill(&[more], &[0], fill);
        Ok(at)
    }

    /// The one sector of a folder in which an entry changes.
    fn sector_with(&self, folder: &Folder, at: usize, raw: &[u8]) -> Patch {
        let size = usize::try_from(self.shape.sector).expect("a few thousand");
        let start = at - at % size;
        let mut bytes = folder.bytes[start..start + size].to_vec();
        bytes[at - start..at - start + SIZE].copy_from_slice(raw);
        Patch { at: folder.at(start), bytes }
    }

    /// Where a volume says how many clusters are free.
    fn told_free(&self, table: &[u8], next: u32) -> Result<Option<Patch>, FatError> {
        let Some(at) = self.shape.info else { return Ok(None) };
        let mut info = self.medium.bytes(at, 512)?;
        if info[..4] != *b"RRaA" || info[484..488] != *b"rrAa" {
            return Ok(None);
        }
        let free = (2..self.shape.clusters + 2).filter(|cluster| get(table, self.shape.kind, *cluster) == 0).count();
        info[488..492].copy_from_slice(&u32::try_from(free).expect("28 bits at most").to_le_bytes());
        info[492..496].copy_from_slice(&next.to_le_bytes());
        Ok(Some(Patch { at, bytes: info }))
    }
}

/// The folder's content with the names for itself and for its parent, which for the root is 0.
fn with_itself(mut bytes: Vec<u8>, cluster: u32, time: Stamp) -> Vec<u8> {
    for (index, (name, cluster)) in [(b".          ", cluster), (b"..         ", 0)].into_iter().enumerate() {
        let raw = entry::plain(name, 0, New { folder: true, cluster, length: 0, time });
        bytes[index * SIZE..(index + 1) * SIZE].copy_from_slice(&raw);
    }
    bytes
}

fn short(name: &str) -> [u8; 11] {
    let mut short = [b' '; 11];
    short[..name.len()].copy_from_slice(name.to_ascii_uppercase().as_bytes());
    short
}
