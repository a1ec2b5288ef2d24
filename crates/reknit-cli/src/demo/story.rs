//! The story: meet, share, part, edit apart, heal.

use super::actor::Actor;
use super::record::{Outcome, Receipts, Recorder, What, Who};
use crate::calls::{Invite, Join, Pause, Resume, SpaceNew, Status};
use crate::clock::precise;
use crate::exit::Failure;
use crate::multicast;
use reknit::{DeviceId, EntityId, Ticket};
use std::time::{Duration, Instant};

/// Tells it, and ends the processes whatever happens.
pub(super) async fn tell(recorder: &mut Recorder, try_mdns: bool) -> Result<Outcome, Failure> {
    let root = tempfile::Builder::new()
        .prefix("reknit-demo-")
        .tempdir()
        .map_err(|cause| Failure::while_doing("making a directory for the demo", cause))?;
    let (ada, ben, cleo) = tokio::try_join!(
        Actor::start(root.path(), Who::Ada, try_mdns),
        Actor::start(root.path(), Who::Ben, try_mdns),
        Actor::start(root.path(), Who::Cleo, try_mdns),
    )?;
    recorder.moment(What::Start, "Ada, Ben and Cleo run: three processes, three stores, no server")?;
    let cast = Cast { ada, ben, cleo };
    let outcome = cast.play(recorder, try_mdns).await;
    tokio::join!(cast.ada.stop(), cast.ben.stop(), cast.cleo.stop());
    outcome
}

struct Cast {
    ada: Actor,
    ben: Actor,
    cleo: Actor,
}

impl Cast {
    fn all(&self) -> [&Actor; 3] {
        [&self.ada, &self.ben, &self.cleo]
    }

    async fn play(&self, recorder: &mut Recorder, try_mdns: bool) -> Result<Outcome, Failure> {
        let met_by_mdns = self.meet(recorder, try_mdns).await?;
        let id = self.share(recorder, met_by_mdns).await?;
        self.part(recorder).await?;
        self.edit_apart(recorder, id).await?;
        let (apart_two, apart_one) = (self.ada.see(id).await?, self.cleo.see(id).await?);
        let (heal, receipts) = self.heal(recorder).await?;
        let seen = [self.ada.see(id).await?, self.ben.see(id).await?, self.cleo.see(id).await?];
        let same_values = seen.iter().all(|entity| *entity == seen[0]);
        let same_frontier = receipts.iter().all(|receipt| receipt.frontier == receipts[0].frontier);
        let [healed, ..] = seen;
        let heal_ms = u64::try_from(heal.as_millis()).unwrap_or(u64::MAX);
        let equal = same_values && same_frontier;
        Ok(Outcome { equal, heal_ms, met_by_mdns, receipts, apart_two, apart_one, healed })
    }

    /// Whether they found each other by mDNS.
    async fn meet(&self, recorder: &mut Recorder, try_mdns: bool) -> Result<bool, Failure> {
        let why_not =
            if try_mdns { self.meet_by_mdns().await? } else { Some("it was not wanted".to_owned()) };
        match &why_not {
            None => recorder.moment(What::Meet, "they find each other on the local network, by mDNS")?,
            Some(reason) => {
                recorder.say(&format!(
                    "mDNS does not serve here ({reason}): they will meet by the addresses in the ticket"
                ));
            }
        }
        Ok(why_not.is_none())
    }

    /// Why it does not work, if it does not.
    async fn meet_by_mdns(&self) -> Result<Option<String>, Failure> {
        if let Err(reason) = multicast::probe().await {
            return Ok(Some(reason));
        }
        if tokio::time::timeout(MDNS_PATIENCE, self.until_all_found()).await.is_ok_and(|found| found.is_ok())
        {
            return Ok(None);
        }
        let reason = self.ada.call(Status {}).await?.network.and_then(|network| network.mdns_problem);
        Ok(Some(reason.unwrap_or_else(|| format!("nobody was found in {}", precise(MDNS_PATIENCE)))))
    }

    /// Waits until of every two at least one has found the other. Whoever starts last may have found the others before it
    /// could say so.
    async fn until_all_found(&self) -> Result<(), Failure> {
        let devices = self.devices().await?;
        let mut found = self.all().map(Actor::found);
        loop {
            let sees = |one: usize, other: usize| found[one].borrow().contains(&devices[other]);
            if [(0, 1), (1, 2), (2, 0)].into_iter().all(|(one, other)| sees(one, other) || sees(other, one)) {
                return Ok(());
            }
            let [ada, ben, cleo] = &mut found;
            let listening = tokio::select! {
                changed = ada.changed() => changed,
                changed = ben.changed() => changed,
                changed = cleo.changed() => changed,
            };
            listening.map_err(|_| Failure::error("one of the three ended"))?;
        }
    }

    /// In the order of [`Who::ALL`].
    async fn devices(&self) -> Result<[DeviceId; 3], Failure> {
        let (ada, ben, cleo) = tokio::try_join!(self.ada.device(), self.ben.device(), self.cleo.device())?;
        Ok([ada, ben, cleo])
    }

    /// One space, three members, one entity with a field of each kind.
    async fn share(&self, recorder: &mut Recorder, met_by_mdns: bool) -> Result<EntityId, Failure> {
        self.ada.call(SpaceNew { name: "Harbour".to_owned() }).await?;
        let invite = Invite { space: None, role: "writer".to_owned(), expires_ms: Some(TICKET_MS) };
        let full = self.ada.call(invite).await?.ticket;
        let ticket = if met_by_mdns { without_addresses(&full)? } else { full };
        let join = || Join { ticket: ticket.clone(), timeout_ms: JOIN_MS };
        tokio::try_join!(self.ben.call(join()), self.cleo.call(join()))?;
        if !met_by_mdns {
            recorder.moment(What::Meet, "Ben and Cleo reach Ada at an address of her ticket")?;
        }
        recorder.moment(What::Share, "Ada creates the space Harbour; Ben and Cleo join it by her ticket")?;
        let words =
            ["plan@=Picnic at the harbour.", "place=harbour", "guests+=1", "basket/items:=[\"bread\"]"];
        let id = self.ada.put(None, &words).await?.id;
        let text = "Ada writes a picnic: a text, a register, a counter and a document";
        recorder.moment(What::Edit { who: Who::Ada, letter: '+', label: "picnic".to_owned() }, text)?;
        self.until_equal().await?;
        recorder.say("Ben and Cleo have it, and all three hold receipts for it");
        Ok(id)
    }

    async fn part(&self, recorder: &mut Recorder) -> Result<(), Failure> {
        self.cleo.call(Pause {}).await?;
        for actor in [&self.ada, &self.ben] {
            while has_cleo(actor).await? {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        recorder.moment(What::Cut, "the network is cut: Ada and Ben on one side, Cleo on the other")
    }

    async fn edit_apart(&self, recorder: &mut Recorder, id: EntityId) -> Result<(), Failure> {
        for edit in EDITS {
            let actor = self.all().into_iter().find(|actor| actor.who == edit.who);
            let actor = actor.ok_or_else(|| Failure::error("an edit is nobody's"))?;
            actor.put(Some(id), &[edit.word]).await?;
            // Within a side, edits travel at once: the next one there builds on this one.
            if edit.who != Who::Cleo {
                self.until_two_equal().await?;
            }
            let what = What::Edit { who: edit.who, letter: edit.letter, label: edit.label.to_owned() };
            recorder.moment(what, format!("{} {}", edit.who.name(), edit.text))?;
        }
        Ok(())
    }

    async fn heal(&self, recorder: &mut Recorder) -> Result<(Duration, Vec<Receipts>), Failure> {
        recorder.moment(What::Heal, "the network is whole again")?;
        let began = Instant::now();
        self.cleo.call(Resume {}).await?;
        let receipts = self.until_equal().await?;
        let took = began.elapsed();
        recorder.moment(What::Equal, format!("all three have the same events, {} later", precise(took)))?;
        Ok((took, receipts))
    }

    /// Waits until all three are at one frontier, and each holds the receipts of all it is connected with.
    async fn until_equal(&self) -> Result<Vec<Receipts>, Failure> {
        let devices = self.devices().await?;
        loop {
            let (ada, ben, cleo) = tokio::try_join!(
                self.ada.receipts(&devices),
                self.ben.receipts(&devices),
                self.cleo.receipts(&devices)
            )?;
            let same = ada.frontier == ben.frontier && ben.frontier == cleo.frontier;
            let signed = |receipts: &Receipts| !receipts.signed_by.is_empty();
            if same && signed(&ada) && signed(&ben) && signed(&cleo) {
                return Ok(vec![ada, ben, cleo]);
            }
        }
    }

    async fn until_two_equal(&self) -> Result<(), Failure> {
        tokio::try_join!(self.ada.until_converged(), self.ben.until_converged()).map(drop)
    }
}

async fn has_cleo(actor: &Actor) -> Result<bool, Failure> {
    let status = actor.call(Status {}).await?;
    Ok(status.peers.iter().any(|peer| peer.name.as_deref() == Some(Who::Cleo.name())))
}

/// The same ticket, so that only who has found Ada already can reach her.
fn without_addresses(ticket: &str) -> Result<String, Failure> {
    let mut ticket: Ticket =
        ticket.parse().map_err(|cause| Failure::while_doing("reading the ticket", cause))?;
    ticket.peers.iter_mut().for_each(|hint| hint.addrs.clear());
    Ok(ticket.to_string())
}

/// Something that is written while the network is cut.
struct Edit {
    who: Who,
    letter: char,
    word: &'static str,
    label: &'static str,
    text: &'static str,
}

/// Both sides write to the same text, register, counter and document.
const EDITS: [Edit; 8] = [
    Edit {
        who: Who::Ada,
        letter: 't',
        word: "plan@=Sunday picnic at the harbour.",
        label: "Sunday picnic ..",
        text: "makes the text begin \"Sunday picnic\"",
    },
    Edit {
        who: Who::Cleo,
        letter: 't',
        word: "plan@+= Bring a kite!",
        label: ".. Bring a kite!",
        text: "makes the text end \"Bring a kite!\"",
    },
    Edit {
        who: Who::Ada,
        letter: 'r',
        word: "place=pier",
        label: "place = pier",
        text: "sets the register to \"pier\"",
    },
    Edit {
        who: Who::Cleo,
        letter: 'c',
        word: "guests+=3",
        label: "guests + 3",
        text: "adds 3 to the counter",
    },
    Edit {
        who: Who::Ben,
        letter: 'c',
        word: "guests+=2",
        label: "guests + 2",
        text: "adds 2 to the counter",
    },
    Edit {
        who: Who::Cleo,
        letter: 'd',
        word: "basket/items/-=plums",
        label: "basket + plums",
        text: "puts plums into the document's list",
    },
    Edit {
        who: Who::Ben,
        letter: 'd',
        word: "basket/items/-=cheese",
        label: "basket + cheese",
        text: "puts cheese into the document's list",
    },
    Edit {
        who: Who::Cleo,
        letter: 'r',
        word: "place=beach",
        label: "place = beach",
        text: "sets the register to \"beach\", later than Ada did",
    },
];

const MDNS_PATIENCE: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const JOIN_MS: u64 = 10_000;
const TICKET_MS: u64 = 3_600_000;
