//! The parts of a file: what was sent, what is being sent, and what is gathered.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use storage::{Result, StorageError, StoragePath};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::gathering::{Gathering, Member};
use super::record::{Head, Multipart, Part};
use crate::client::Client;
use crate::failure::{broken, storage_error, write_error};
use crate::limits::{PART_BYTES_MAX, PARTS_MAX, PARTS_OF_A_SIZE, TAIL_BYTES_MAX};

/// A part on its way to the store. It gets there whether or not somebody waits for it.
#[derive(Debug)]
struct Sending {
    size_bytes: u64,
    task: JoinHandle<object_store::Result<PartId>>,
}

/// What an unfinished file consists of.
#[derive(Debug)]
pub(super) struct Parts {
    client: Arc<Client>,
    gathering: Gathering,
    path: StoragePath,
    /// Where the next multipart upload is made, if it is not the file's own key.
    target: Option<Path>,
    base_bytes: u64,
    multipart: Option<Multipart>,
    sending: Option<Sending>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    /// How large the part that is gathered shall become; known once it has begun.
    part_bytes: Option<usize>,
    room: Option<OwnedSemaphorePermit>,
    _member: Member,
}

/// Where a file stood, to go back there.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    size_bytes: u64,
    base_bytes: u64,
    parts: usize,
    gathered: Vec<Bytes>,
}

impl Mark {
    /// How large the file was, in bytes.
    pub(super) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

impl Parts {
    pub(super) fn new(client: Arc<Client>, gathering: Gathering, path: StoragePath) -> Self {
        let member = gathering.join();
        Self {
            client,
            gathering,
            path,
            target: None,
            base_bytes: 0,
            multipart: None,
            sending: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            part_bytes: None,
            room: None,
            _member: member,
        }
    }

    /// Goes on from a record.
    pub(super) fn resume(&mut self, head: Head, tail: Bytes) {
        self.base_bytes = head.base_bytes;
        self.multipart = head.multipart;
        self.gathered_bytes = tail.len();
        self.gathered = if tail.is_empty() { Vec::new() } else { vec![tail] };
    }

    /// The object at the file's own key is its beginning.
    pub(super) const fn set_base(&mut self, size_bytes: u64) {
        self.base_bytes = size_bytes;
    }

    /// A multipart upload that begins from now on is made there.
    pub(super) fn set_target(&mut self, target: Path) {
        self.target = Some(target);
    }

    pub(super) fn size_bytes(&self) -> u64 {
        let sending = self.sending.as_ref().map_or(0, |sending| sending.size_bytes);
        self.sent_bytes() + sending + self.gathered_bytes as u64
    }

    /// The bytes that are at the store.
    fn sent_bytes(&self) -> u64 {
        let parts = self.multipart.iter().flat_map(|m| &m.parts);
        self.base_bytes + parts.map(|part| part.size_bytes).sum::<u64>()
    }

    /// What a record has to say, once nothing is on its way.
    pub(super) fn describe(&self) -> (Head, impl Iterator<Item = Bytes> + use<>) {
        let tail_bytes = self.gathered_bytes as u64;
        let head = Head::new(self.base_bytes, self.multipart.clone(), tail_bytes);
        (head, self.gathered.clone().into_iter())
    }

    pub(super) fn multipart(&self) -> Option<&Multipart> {
        self.multipart.as_ref()
    }

    /// How much of the file is an object at its own key.
    pub(super) const fn base_bytes(&self) -> u64 {
        self.base_bytes
    }

    /// What is gathered, and not at the store.
    pub(super) fn tail(&self) -> Vec<Bytes> {
        self.gathered.clone()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            size_bytes: self.size_bytes(),
            base_bytes: self.base_bytes,
            parts: self.multipart.as_ref().map_or(0, |m| m.parts.len()),
            gathered: self.gathered.clone(),
        }
    }

    /// Goes back to where the file stood. The parts that came since are not part of it any more;
    /// the next ones replace them.
    pub(super) async fn return_to(&mut self, mark: &Mark) -> Result<()> {
        self.settle().await?;
        if self.base_bytes != mark.base_bytes {
            return Err(broken("truncate", &self.path, "what it had was put together meanwhile"));
        }
        if let Some(multipart) = &mut self.multipart {
            multipart.parts.truncate(mark.parts);
        }
        self.gathered.clone_from(&mark.gathered);
        self.gathered_bytes = self.gathered.iter().map(Bytes::len).sum();
        self.part_bytes = None;
        Ok(())
    }

    /// Takes bytes in. Returns once they are gathered, or on their way.
    pub(super) async fn push(&mut self, mut piece: Bytes) -> Result<()> {
        if self.base_bytes > 0 {
            self.take_base_apart().await?;
        }
        while !piece.is_empty() {
            let part_bytes = self.part_bytes().await?;
            let room = part_bytes.saturating_sub(self.gathered_bytes);
            let taken = piece.split_to(room.min(piece.len()));
            self.gathered_bytes += taken.len();
            if !taken.is_empty() {
                self.gathered.push(taken);
            }
            if self.gathered_bytes >= part_bytes {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// The size that the part which is gathered shall have.
    async fn part_bytes(&mut self) -> Result<usize> {
        if let Some(part_bytes) = self.part_bytes {
            return Ok(part_bytes);
        }
        let on_its_way = usize::from(self.sending.is_some());
        let number = self.multipart.as_ref().map_or(0, |m| m.parts.len()) + on_its_way;
        if number >= PARTS_MAX {
            return Err(broken(
                "append to",
                &self.path,
                "the store takes no more than 10,000 parts of one upload: raise `chunksize`",
            ));
        }
        let wanted = self.gathering.part_bytes(self.client.part_bytes);
        let doublings = u32::try_from(number / PARTS_OF_A_SIZE).unwrap_or(u32::MAX);
        let grown =
            (wanted as u64).saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX));
        let part_bytes = usize::try_from(grown.min(PART_BYTES_MAX)).unwrap_or(usize::MAX);
        self.room = self.gathering.room(part_bytes).await;
        self.part_bytes = Some(part_bytes);
        Ok(part_bytes)
    }

    /// Sends what is gathered if it is too much for a record: parts may differ in size.
    pub(super) async fn send_large_tail(&mut self) -> Result<()> {
        if self.gathered_bytes > TAIL_BYTES_MAX {
            self.send().await?;
            self.settle().await?;
        }
        Ok(())
    }

    /// Sends what is gathered as the next part, behind the one that is on its way.
    async fn send(&mut self) -> Result<()> {
        self.settle().await?;
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => {
                let own = self.client.root.key("append to", &self.path)?;
                let key = self.target.clone().unwrap_or(own);
                let id = self.client.begin(&self.path, &key).await?;
                none.insert(Multipart { key: key.into(), id, parts: Vec::new() })
            }
        };
        let key = Path::parse(&multipart.key)
            .map_err(|e| write_error("append to", &self.path, e.into()))?;
        let (id, index) = (multipart.id.clone(), multipart.parts.len());
        let payload: PutPayload = std::mem::take(&mut self.gathered).into_iter().collect();
        let size_bytes = std::mem::take(&mut self.gathered_bytes) as u64;
        self.part_bytes = None;
        let (room, store) = (self.room.take(), Arc::clone(&self.client.store.multipart));
        let task = tokio::spawn(async move {
            let sent = store.put_part(&key, &id, index, payload).await;
            drop(room);
            sent
        });
        self.sending = Some(Sending { size_bytes, task });
        Ok(())
    }

    /// Waits for the part that is on its way. When it did not arrive, its bytes are not in the
    /// file, nor are those behind it.
    pub(super) async fn settle(&mut self) -> Result<()> {
        let Some(sending) = &mut self.sending else { return Ok(()) };
        let size_bytes = sending.size_bytes;
        let sent = (&mut sending.task).await;
        self.sending = None;
        let error = match sent {
            Ok(Ok(PartId { content_id })) => {
                if let Some(multipart) = &mut self.multipart {
                    multipart.parts.push(Part { id: content_id, size_bytes });
                }
                return Ok(());
            }
            Ok(Err(error)) => write_error("append to", &self.path, error),
            Err(_) => broken("append to", &self.path, "sending a part was broken off"),
        };
        self.gathered.clear();
        self.gathered_bytes = 0;
        self.part_bytes = None;
        self.room = None;
        Err(error)
    }

    /// Puts the parts, and the tail as the last one, together; the object lies at their key then.
    pub(super) async fn complete(&mut self) -> Result<()> {
        self.settle().await?;
        let size_bytes = self.size_bytes();
        if self.gathered_bytes > 0 {
            self.send().await?;
            self.settle().await?;
        }
        let Some(multipart) = self.multipart.take() else { return Ok(()) };
        let key = Path::parse(&multipart.key)
            .map_err(|e| write_error("complete", &self.path, e.into()))?;
        let part = |part: Part| PartId { content_id: part.id };
        let parts = multipart.parts.into_iter().map(part).collect();
        match self.client.store.multipart.complete_multipart(&key, &multipart.id, parts).await {
            Ok(_) => Ok(()),
            // An earlier attempt may have got there without its answer getting here.
            Err(object_store::Error::NotFound { .. }) => {
                match self.client.head(&self.path, &key).await {
                    Ok(found) if found.size == size_bytes => Ok(()),
                    Ok(_) | Err(StorageError::NotFound { .. }) => Err(broken(
                        "complete",
                        &self.path,
                        "the store has lost parts of it: it has to be sent anew",
                    )),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(write_error("complete", &self.path, error)),
        }
    }

    /// Makes an object at the file's own key of what there is.
    pub(super) async fn become_base(&mut self) -> Result<()> {
        let size_bytes = self.size_bytes();
        self.complete().await?;
        self.base_bytes = size_bytes;
        Ok(())
    }

    /// Reads the object that is the file's beginning, and sends it again as parts: the parts of an
    /// object can't be had back.
    async fn take_base_apart(&mut self) -> Result<()> {
        let key = self.client.root.key("read", &self.path)?;
        let failed = |error| storage_error("read", &self.path, error);
        let found = self.client.store.objects.get(&key).await.map_err(failed)?;
        let mut stream = found.into_stream();
        self.base_bytes = 0;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| storage_error("read", &self.path, error))?;
            Box::pin(self.push(piece)).await?;
        }
        Ok(())
    }
}
