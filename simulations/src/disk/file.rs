//! A file in pages that remembers what it was since its last sync.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    sync::Arc,
};

/// The unit in which content is kept and shared: the page of a page cache.
pub(super) const PAGE_BYTES: usize = 4096;

/// A page that nothing changes any more, so that images and histories share it. `None` reads as zeros and takes no room.
pub(super) type Page = Option<Arc<[u8]>>;

/// A file as its processes see it, and enough of its past to say what the platter may have.
#[derive(Clone, Default)]
pub(super) struct File {
    /// What reads see. Pages beyond it are zeros.
    pages: Vec<Page>,
    length: u64,
    /// What changes since the last sync replaced, oldest first.
    pub(super) replaced: Vec<Replaced>,
    /// The lengths before each change of length since the last sync, with the moment of the change.
    pub(super) lengths: Vec<(Moment, u64)>,
    /// What the platter has of pages that a failed sync left behind. The page cache takes them for written.
    pub(super) lost: BTreeMap<usize, Page>,
}

/// Counts the changes of a disk.
pub(super) type Moment = u64;

/// What a page was before a change.
#[derive(Clone)]
pub(super) struct Replaced {
    pub(super) page: usize,
    pub(super) before: Page,
    pub(super) at: Moment,
    /// The length of the file after the change, if it was the file being cut.
    pub(super) cut: Option<u64>,
}

/// Whether pages that take no room yet may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Left,
    None,
}

impl File {
    /// A file that is on the platter.
    pub(super) fn of_pages(pages: Vec<Page>, length: u64) -> Self {
        Self { pages, length, ..Self::default() }
    }

    /// A file on the platter with these bytes.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let pages = bytes.chunks(PAGE_BYTES).map(|chunk| {
            let mut page = chunk.to_vec();
            page.resize(PAGE_BYTES, 0);
            (page != ZEROS).then(|| page.into())
        });
        Self::of_pages(pages.collect(), bytes.len() as u64)
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn page(&self, page: usize) -> Page {
        self.pages.get(page).cloned().flatten()
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(out.len() as u64).ok_or(ErrorKind::UnexpectedEof)?;
        if end > self.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (mut offset, mut rest) = (place(offset)?, out);
        while !rest.is_empty() {
            let (page, start) = (offset / PAGE_BYTES, offset % PAGE_BYTES);
            let (part, after) = rest.split_at_mut(rest.len().min(PAGE_BYTES - start));
            match self.pages.get(page) {
                Some(Some(content)) => part.copy_from_slice(&content[start..start + part.len()]),
                _ => part.fill(0),
            }
            offset += part.len();
            rest = after;
        }
        Ok(())
    }

    /// Writes, beyond the end too, up to the first page that there is no room for.
    pub(super) fn write(&mut self, at: Moment, offset: u64, data: &[u8], room: Room) -> io::Result<()> {
        let end = offset.checked_add(data.len() as u64).filter(|end| *end <= FILE_BYTES_MAX);
        let end = end.ok_or(ErrorKind::FileTooLarge)?;
        if end > self.length {
            self.set_length(at, end)?;
        }
        let (mut offset, mut rest) = (place(offset)?, data);
        while !rest.is_empty() {
            let (page, start) = (offset / PAGE_BYTES, offset % PAGE_BYTES);
            let (part, after) = rest.split_at(rest.len().min(PAGE_BYTES - start));
            let before = self.pages.get(page).and_then(Option::as_deref);
            if room == Room::None && before.is_none() {
                return Err(ErrorKind::StorageFull.into());
            }
            let content: Arc<[u8]> = if part.len() == PAGE_BYTES {
                part.into()
            } else {
                let mut content = before.map_or_else(|| vec![0; PAGE_BYTES], <[u8]>::to_vec);
                content[start..start + part.len()].copy_from_slice(part);
                content.into()
            };
            self.replace(at, page, Some(content), None);
            offset += part.len();
            rest = after;
        }
        self.write_back();
        Ok(())
    }

    /// Lengthens the file by zeros that take no room, or cuts it.
    pub(super) fn set_length(&mut self, at: Moment, length: u64) -> io::Result<()> {
        if length > FILE_BYTES_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.lengths.push((at, self.length));
        if length < self.length {
            for (page, content) in self.cut(place(length)?) {
                self.replace(at, page, content, Some(length));
            }
        }
        self.length = length;
        self.write_back();
        Ok(())
    }

    /// Puts all that was written on the platter.
    pub(super) fn sync(&mut self) {
        self.replaced.clear();
        self.lengths.clear();
    }

    /// The file as it is on the platter if nothing that was not synced has reached it.
    pub(super) fn synced(&self) -> Self {
        let mut pages = self.pages.clone();
        let before = self.replaced.iter().rev().map(|replaced| (replaced.page, &replaced.before));
        for (page, before) in before.chain(self.lost.iter().map(|(page, before)| (*page, before))) {
            if let Some(content) = pages.get_mut(page) {
                content.clone_from(before);
            }
        }
        Self::of_pages(pages, self.lengths.first().map_or(self.length, |(_, before)| *before))
    }

    /// The pages that are not zeros throughout. A page of zeros may be one that was written for its room only.
    pub(super) fn pages_in_use(&self) -> impl Iterator<Item = usize> {
        let in_use = |page: &Page| page.as_deref().is_some_and(|page| *page != ZEROS);
        self.pages.iter().enumerate().filter(move |(_, page)| in_use(page)).map(|(index, _)| index)
    }

    /// Changes a page without a trace.
    pub(super) fn put(&mut self, page: usize, content: Page) {
        if page >= self.pages.len() {
            if content.is_none() {
                return;
            }
            self.pages.resize(page + 1, None);
        }
        self.pages[page] = content;
    }

    /// Changes the length without a trace.
    pub(super) fn put_length(&mut self, length: u64) -> io::Result<()> {
        for (page, content) in self.cut(place(length)?) {
            self.put(page, content);
        }
        self.length = length;
        Ok(())
    }

    /// Every byte, as reads see them.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(length) = place(self.length) {
            bytes.resize(length, 0);
            self.read(0, &mut bytes).expect("it is as long as the file");
        }
        bytes
    }

    fn replace(&mut self, at: Moment, page: usize, content: Page, cut: Option<u64>) {
        // Of a page that a failed sync left behind, what was not written then is never written again.
        let before = self.lost.remove(&page).unwrap_or_else(|| self.page(page));
        self.replaced.push(Replaced { page, before, at, cut });
        self.put(page, content);
    }

    /// What the pages from `length` on become if the file ends there.
    fn cut(&self, length: usize) -> Vec<(usize, Page)> {
        let (first, kept) = (length / PAGE_BYTES, length % PAGE_BYTES);
        let cut = self.pages.iter().enumerate().skip(first).filter(|(_, page)| page.is_some());
        cut.map(|(index, page)| match page {
            Some(page) if index == first && kept > 0 => {
                let mut page = page.to_vec();
                page[kept..].fill(0);
                (index, Some(page.into()))
            }
            _ => (index, None),
        })
        .collect()
    }

    /// A system writes back on its own before it runs out of memory.
    fn write_back(&mut self) {
        if self.replaced.len() + self.lengths.len() > UNSYNCED_MAX {
            self.sync();
        }
    }
}

fn place(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| ErrorKind::FileTooLarge.into())
}

const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// Changes of pages and lengths after which a file is written back unasked: 256 MiB of pages.
const UNSYNCED_MAX: usize = 65_536;
