//! Headers, transactions and values.

use reknit_types::{Header, Reader, Transaction, Value, Writer};

pub(crate) fn header(bytes: &[u8]) -> bool {
    let Ok(header) = Header::decode(bytes) else { return false };
    assert_eq!(header.encode(), bytes, "a header has one encoding");
    true
}

pub(crate) fn transaction(bytes: &[u8]) -> bool {
    let Ok(transaction) = Transaction::decode(bytes) else { return false };
    assert_eq!(transaction.encode(), bytes, "a transaction has one encoding");
    true
}

pub(crate) fn value(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let Ok(value) = Value::decode(&mut reader) else { return false };
    let used = bytes.len() - reader.remaining();
    let mut writer = Writer::new();
    value.encode(&mut writer);
    assert_eq!(writer.as_slice(), &bytes[..used], "a value has one encoding");
    true
}

pub(crate) fn value_json(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return false };
    let text = serde_json::to_string(&value).expect("a value is JSON");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("its own JSON"), value);
    true
}
