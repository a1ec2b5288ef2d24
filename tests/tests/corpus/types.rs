//! Real headers, transactions and values.

use std::collections::BTreeMap;

use reknit_types::{
    CrdtKind, DeviceId, EntityEdit, EntityId, Epoch, EventId, Header, Kind, Name, Op, SpaceId, Stamp,
    Transaction, Value, Writer,
};

use super::{Seed, seed};

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = vec![
        seed("header", "first", header(1, vec![]).encode()),
        seed(
            "header",
            "merge",
            header(7, (2..6).map(|byte| EventId::from_bytes([byte; 32])).collect()).encode(),
        ),
        seed("transaction", "empty", Transaction::default().encode()),
        seed("transaction", "every-op", transaction().encode()),
    ];
    for (name, value) in values() {
        let mut writer = Writer::new();
        value.encode(&mut writer);
        seeds.push(seed("value", name, writer.into_bytes()));
        seeds.push(seed("value_json", name, serde_json::to_vec(&value).expect("a value is JSON")));
    }
    seeds
}

fn header(seq: u64, parents: Vec<EventId>) -> Header {
    Header {
        kind: if seq == 1 { Kind::Control } else { Kind::Data },
        space: SpaceId::from_bytes([1; 32]),
        author: DeviceId::from_bytes([2; 32]),
        seq,
        prev: (seq > 1).then_some(EventId::from_bytes([3; 32])),
        parents,
        stamp: Stamp::from_u128(0x018b_cfe5_6800_0000_0000_0000_0000_0001),
        epoch: Epoch::FIRST,
        payload_len: 200,
        payload_hash: [5; 32],
    }
}

fn transaction() -> Transaction {
    let name = |text| Name::new(text).expect("a name");
    let edits = CrdtKind::ALL.map(|kind| Op::Edit {
        field: name(kind.as_str()),
        kind,
        delta: vec![kind.to_byte(); 9],
    });
    let ops = [vec![Op::Create], edits.to_vec(), vec![Op::Delete, Op::Restore]].concat();
    let edit = |byte| EntityEdit {
        collection: name("notes"),
        entity: EntityId::from_bytes([byte; 16]),
        ops: ops.clone(),
    };
    Transaction { edits: vec![edit(1), edit(2)] }
}

fn values() -> Vec<(&'static str, Value)> {
    let leaves = vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(i64::MIN),
        Value::Float(2.5),
        Value::from("Grüße, 世界"),
        Value::Bytes(vec![0, 255, 10]),
        Value::Ref(EntityId::from_bytes([9; 16])),
    ];
    let map =
        BTreeMap::from([("a".to_owned(), Value::List(leaves.clone())), ("b".to_owned(), Value::Bool(false))]);
    vec![
        ("leaves", Value::List(leaves)),
        ("map", Value::Map(map)),
        ("text", Value::from("text")),
        ("null", Value::Null),
    ]
}
